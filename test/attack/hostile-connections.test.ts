// Connections of strangers that are cut at the worst moment, or never end.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { baseConfig, startPosternProcess } from '../support/postern.ts';
import type { PosternProcess } from '../support/postern.ts';
import { freePort } from '../support/free-port.ts';

let postern: PosternProcess;

beforeAll(async () => {
  const nobody = { issuer: 'http://127.0.0.1:9', clientId: 'postern', clientSecret: 'secret' };
  const routes = [{ path: '/api', upstream: 'http://127.0.0.1:9' }];
  postern = await startPosternProcess(baseConfig(await freePort(), nobody, { routes }));
});
afterAll(() => postern.stop());

async function open(): Promise<Socket> {
  const { hostname, port } = new URL(postern.address);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

test.each([
  'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\r\nno header\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n',
])(
  'a stranger who sends %j and resets the connection ends nothing but that connection (SEC-07, PX-08)',
  async (bytes) => {
    for (let attempt = 0; attempt < 30; attempt += 1) {
      const socket = await open();
      socket.write(bytes);
      // In the moment in which the answer is on its way.
      await new Promise((resolve) => setImmediate(resolve));
      socket.resetAndDestroy();
    }
    expect((await fetch(`${postern.operationsUrl}/livez`)).status).toBe(200);
  },
);

test('a refused request whose body never ends does not hold its connection (DL-01)', async () => {
  const socket = await open();
  const { host } = new URL(postern.publicUrl);
  socket.write(`POST /api/x HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000000\r\n\r\nx`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 401 /);
  const dripping = setInterval(() => socket.write('x'), 100);
  await once(socket, 'close');
  clearInterval(dripping);
});
