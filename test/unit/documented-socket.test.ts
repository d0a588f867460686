// The client that docs/websockets-and-streams.md shows, run as it stands there.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';

const page = readFileSync(join(import.meta.dirname, '../../docs/websockets-and-streams.md'), 'utf8');
const [, example] = /^```js\n(function connect[^]*?)^```$/m.exec(page)!;

interface Socket {
  onclose?: (event: { code: number }) => Promise<void>;
}

/** What the client does when its socket closes: shows the login, or comes back. */
async function afterClose(code: number, session: () => Promise<Response>): Promise<string[]> {
  const did: string[] = [];
  const sockets: Socket[] = [];
  runInNewContext(`${example}; connect();`, {
    WebSocket: function (this: Socket) {
      sockets.push(this);
    },
    fetch: session,
    showLogin: () => did.push('login'),
    setTimeout: () => did.push('come back'),
  });
  await sockets[0]!.onclose!({ code });
  await turn();
  return did;
}

const json = (body: object, status = 200) => Promise.resolve(Response.json(body, { status }));

test.each<[what: string, answer: () => Promise<Response>]>([
  ['the store being away', () => json({ code: 'session_store_unavailable' }, 503)],
  ['a page of whatever stands in front', () => Promise.resolve(new Response('<h1>Bad gateway</h1>', { status: 502 }))],
  ['the network being away', () => Promise.reject(new TypeError('Failed to fetch'))],
  ['a session that is still there', () => json({ authenticated: true })],
])('the client comes back after %s', async (_what, answer) => {
  expect(await afterClose(1006, answer)).toEqual(['come back']);
});

test('the client shows the login when the session is over, and only then', async () => {
  expect(await afterClose(1006, () => json({ authenticated: false }))).toEqual(['login']);
  expect(await afterClose(4401, () => json({ authenticated: true }))).toEqual(['login']);
});
