// What an EventSource does, without a browser: keeps a stream of server-sent events open and takes it apart (WHATWG HTML 9.2.6).
import { request } from 'undici';
import type { Postern } from './postern.ts';
import type { SignedIn } from './signed-in.ts';
import { until } from './until.ts';

export interface ReceivedEvent {
  name: string;
  data: unknown;
  /** `performance.now()` at its arrival. */
  at: number;
}

export interface EventStream {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** The body of an answer that is no stream. */
  text(): string;
  /** In the order of their arrival. */
  events: ReceivedEvent[];
  /** Comment lines so far. */
  comments: number;
  /** Reconnection time in ms, as the stream has set it. */
  retryMs: number | undefined;
  /** `performance.now()` when the other side ended it. */
  endedAt: number | undefined;
  /** Waits for the next event of that name, or for the first. */
  heard(name: string, atMostMs?: number): Promise<ReceivedEvent>;
  ended(atMostMs?: number): Promise<void>;
  abort(): void;
}

/** Opens `/bff/events` with the cookie, as a page of ours does. */
export async function openEvents(
  { cookie }: Pick<SignedIn, 'cookie'>,
  on: Postern,
  headers: Record<string, string> = {},
): Promise<EventStream> {
  const controller = new AbortController();
  const answer = await request(`${on.address}/bff/events`, {
    signal: controller.signal,
    headers: {
      host: new URL(on.publicUrl).host,
      accept: 'text/event-stream',
      'sec-fetch-site': 'same-origin',
      'sec-fetch-mode': 'cors',
      'sec-fetch-dest': 'empty',
      ...(cookie === '' ? {} : { cookie }),
      ...headers,
    },
  });
  let text = '';
  const stream: EventStream = {
    status: answer.statusCode,
    headers: answer.headers,
    text: () => text,
    events: [],
    comments: 0,
    retryMs: undefined,
    endedAt: undefined,
    async heard(name, atMostMs) {
      await until(() => stream.events.some((event) => event.name === name), atMostMs);
      return stream.events.find((event) => event.name === name)!;
    },
    ended: (atMostMs) => until(() => stream.endedAt !== undefined, atMostMs),
    abort: () => controller.abort(),
  };

  function take(block: string): void {
    const fields = new Map(block.split('\n').map((line) => [line.split(':', 1)[0]!, line.replace(/^[^:]*: ?/, '')]));
    if (fields.has('')) stream.comments += 1;
    if (fields.has('retry')) stream.retryMs = Number(fields.get('retry'));
    const name = fields.get('event');
    if (name !== undefined) stream.events.push({ name, data: JSON.parse(fields.get('data')!), at: performance.now() });
  }

  let taken = 0;
  answer.body.setEncoding('utf8');
  answer.body.on('data', (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf('\n\n', taken); end !== -1; end = text.indexOf('\n\n', taken)) {
      take(text.slice(taken, end));
      taken = end + 2;
    }
  });
  answer.body.on('end', () => (stream.endedAt = performance.now()));
  answer.body.on('error', () => (stream.endedAt ??= performance.now()));
  return stream;
}
