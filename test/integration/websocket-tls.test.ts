// WebSockets where both ways are secured: a listener with TLS of its own, and an upstream whose authority is the route's.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { openSocket } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { until } from '../support/until.ts';

let directory: string;
let upstream: SocketUpstream;
let postern: LocalPostern;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'postern-wss-'));
  const own = makeCertificate(['localhost']);
  const theirs = makeCertificate(['api.internal']);
  const files = { 'own.crt': own.cert, 'own.key': own.key, 'theirs.crt': theirs.cert };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  const file = (name: string) => ({ file: join(directory, name) });
  upstream = await SocketUpstream.start(theirs);
  const port = await freePort();
  postern = await startPostern(
    { issuer: 'http://localhost:9', clientId: 'shop', clientSecret: 'unused' },
    {
      publicUrl: `https://localhost:${port}`,
      listen: `127.0.0.1:${port}`,
      tls: { cert: file('own.crt'), key: file('own.key') },
      routes: [
        {
          path: '/ws',
          upstream: upstream.url,
          auth: 'none',
          websocket: true,
          tls: { ca: file('theirs.crt'), serverName: 'api.internal' },
        },
        { path: '/untrusted', upstream: upstream.url, auth: 'none', websocket: true },
      ],
    },
  );
});
afterAll(async () => {
  await postern.stop();
  await upstream.stop();
  rmSync(directory, { recursive: true });
});

test('pass over TLS on both sides, and end in good order', async () => {
  const client = await openSocket(postern, '/ws');
  client.send('hello');
  expect(await client.heard(1)).toEqual(['echo hello']);
  expect(upstream.last.request.headers['x-forwarded-proto']).toBe('https');
  upstream.last.close(4000);
  expect(await client.ended()).toMatchObject({ code: 4000 });
  await until(() => upstream.connections === 0);
});

test('an upstream whose certificate no authority vouches for hears of no handshake', async () => {
  const before = upstream.handshakes.length;
  const client = openSocket(postern, '/untrusted');
  await expect(client).rejects.toThrow('502');
  expect(upstream.handshakes).toHaveLength(before);
});
