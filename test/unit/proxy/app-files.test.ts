// What a client can do to the app's files that no request shows: take none of what it asked for.
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { createAppFiles } from '../../../src/proxy/app-files.ts';
import { createLogger } from '../../../src/telemetry/log.ts';
import { connect } from '../../support/raw-client.ts';

test('a client that asks for a file and does not read it is cut off, and keeps no file open', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-unread-'));
  // More than the buffers of two sockets hold.
  await writeFile(join(directory, 'large.wasm'), Buffer.alloc(32 * 1024 * 1024));
  const serve = createAppFiles({
    settings: { directory },
    securityHeaders: { app: () => ({}) },
    endSessionOrigins: () => [],
    randomId: () => 'one',
    sendProblem: (_request, response) => void response.writeHead(500).end(),
    log: createLogger({ level: 'error', access: false, format: 'json' }, { write: () => undefined }),
  });
  const server = createServer(serve);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on('error', () => undefined).pause();
  const asked = once(server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
  client.write('GET /large.wasm HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const [request, response] = await asked;
  expect(request.socket.timeout).toBe(60_000);
  // A minute in a moment.
  request.socket.setTimeout(200);
  await once(response, 'close');
  expect(response.writableFinished).toBe(false);
  client.destroy();
  server.close();
  await rm(directory, { recursive: true });
});
