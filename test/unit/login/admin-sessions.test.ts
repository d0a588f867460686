import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { Secret } from '../../../src/config/secret.ts';
import { createAdminSessions } from '../../../src/login/admin-sessions.ts';
import { handleOf } from '../../../src/session/handles.ts';
import { createAudit } from '../../../src/telemetry/audit.ts';
import { createLogger } from '../../../src/telemetry/log.ts';

test('what an operator ends is written down even when the store goes away in the middle of it (SES-09)', async () => {
  const lines: string[] = [];
  const log = createLogger(
    { level: 'info', format: 'json', access: false },
    { write: (line: string) => void lines.push(line) },
  );
  const server = createServer(
    createAdminSessions({
      token: new Secret('sesame'),
      issuer: 'https://id.example.com',
      index: {
        bySubject: () => Promise.resolve(['h1', 'h2', 'h3'].map((h) => ({ h, record: 'unreadable' as const }))),
      },
      endSession: (h) => Promise.resolve(h === 'h3' ? 'pending' : 'ended'),
      audit: createAudit({ log, handleOf }),
      log,
    }),
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/admin/sessions?sub=alice&iss=https%3A%2F%2Fother.example.com`;
    const answer = await fetch(url, { method: 'DELETE', headers: { authorization: 'Bearer sesame' } });
    expect(answer.status).toBe(503);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      {
        event: 'sessions_ended_by_operator',
        client: '127.0.0.1',
        issuer: 'https://other.example.com',
        sessions: 2,
        pending: 1,
      },
    ]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
