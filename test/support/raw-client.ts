// A client that writes exactly the bytes it is given: no library may repair the request, or the answer.
import { once } from 'node:events';
import net from 'node:net';

export interface RawAnswer {
  status: number;
  /** Lower-case names and values, in order, duplicates included. */
  headers: [name: string, value: string][];
  body: string;
}

export interface RawExchange {
  /** Everything that came back, latin1. */
  text: string;
  /** The answers in it; a body reaches as far as its framing says, or as far as there are bytes. */
  answers: RawAnswer[];
}

/** Writes the bytes and reads until the server closes the connection. Ask for `Connection: close` where the server would keep it open. */
export async function exchange(url: string, bytes: string | Buffer): Promise<RawExchange> {
  const socket = connect(url);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  // A reset is an end like another: the server would hear no more of us.
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(bytes);
  await once(socket, 'close');
  const text = Buffer.concat(chunks).toString('latin1');
  return { text, answers: parseAnswers(text) };
}

/** Writes the bytes and reads until the first answer is there, or the connection is closed; then hangs up. */
export async function firstAnswer(url: string, bytes: Buffer): Promise<RawAnswer> {
  const socket = connect(url);
  let text = '';
  const { promise, resolve } = Promise.withResolvers<undefined>();
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    if (parseAnswers(text).some(({ status }) => status >= 200)) resolve(undefined);
  });
  socket.on('error', () => undefined);
  socket.on('close', () => resolve(undefined));
  socket.write(bytes);
  await promise;
  socket.destroy();
  return parseAnswers(text).find(({ status }) => status >= 200) ?? { status: 0, headers: [], body: '' };
}

/** An open connection, for tests that write in steps. */
export function connect(url: string): net.Socket {
  const { hostname, port } = new URL(url);
  return net.connect({ host: hostname, port: Number(port) });
}

/** A header's values, in order. */
export function valuesOf(answer: RawAnswer, name: string): string[] {
  return answer.headers.filter(([key]) => key === name).map(([, value]) => value);
}

export function parseAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text;
  while (rest.startsWith('HTTP/1.')) {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) break;
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n');
    const headers = lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    const answer: RawAnswer = { status: Number(statusLine.split(' ')[1]), headers, body: '' };
    rest = rest.slice(end + 4);
    if (valuesOf(answer, 'transfer-encoding').includes('chunked')) {
      [answer.body, rest] = dechunk(rest);
    } else {
      const length = Number(valuesOf(answer, 'content-length')[0] ?? 0);
      answer.body = rest.slice(0, length);
      rest = rest.slice(length);
    }
    answers.push(answer);
  }
  return answers;
}

function dechunk(text: string): [body: string, rest: string] {
  let body = '';
  let rest = text;
  for (;;) {
    const lineEnd = rest.indexOf('\r\n');
    if (lineEnd === -1) return [body + rest, ''];
    const size = parseInt(rest.slice(0, lineEnd), 16);
    if (size === 0) return [body, rest.slice(lineEnd + 4)];
    body += rest.slice(lineEnd + 2, lineEnd + 2 + size);
    rest = rest.slice(lineEnd + 4 + size);
  }
}
