// The body of an answer on its way to the client. Most are small and have come together with their head: those leave in one piece with it, which spares
// each of them the setting up of a pipe and a second write.
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Copying a larger one would cost more than it spares. */
const smallBytes = 16 * 1024;

/** Passes the body on behind a head that has been written. When the answer is cut, the proxy library cuts the client off. */
export function passBody(answer: IncomingMessage, response: ServerResponse): void {
  // The parser has just found the head. What else it was given it goes through in this turn, before the next tick.
  process.nextTick(passOn, answer, response);
}

function passOn(answer: IncomingMessage, response: ServerResponse): void {
  if (!answer.complete || answer.readableLength > smallBytes) {
    answer.pipe(response);
    return;
  }
  const body = answer.read() as Buffer | null;
  // As text, since Node puts text behind the head in one string and writes that; each byte is one character.
  response.end(body?.toString('latin1') ?? '', 'latin1');
}
