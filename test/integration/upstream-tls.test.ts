// Upstreams behind TLS: a token goes only to the server that the certificate names.
import tls from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeCertificate } from '../support/certificate.ts';
import { accessToken, startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { exchange } from '../support/raw-client.ts';
import { RecordingUpstream } from '../support/upstream.ts';

const usualAuthorities = tls.getCACertificates('default');
let trusted: RecordingUpstream;
let otherName: RecordingUpstream;
let unknown: RecordingUpstream;
let gate: Gate;
let cookie: string;

beforeAll(async () => {
  const certificates = [
    makeCertificate(['127.0.0.1']),
    makeCertificate(['other.test']),
    makeCertificate(['127.0.0.1']),
  ] as const;
  tls.setDefaultCACertificates([...usualAuthorities, certificates[0].cert, certificates[1].cert]);
  [trusted, otherName, unknown] = await Promise.all([
    RecordingUpstream.start(certificates[0]),
    RecordingUpstream.start(certificates[1]),
    RecordingUpstream.start(certificates[2]),
  ]);
  gate = await startGate({
    routes: [
      { path: '/trusted', upstream: trusted.url },
      { path: '/other-name', upstream: otherName.url },
      { path: '/unknown', upstream: unknown.url },
    ],
  });
  cookie = await gate.signIn();
});

afterAll(async () => {
  tls.setDefaultCACertificates(usualAuthorities);
  await gate.stop();
  await Promise.all([trusted.stop(), otherName.stop(), unknown.stop()]);
});

async function statusOf(path: string): Promise<number | undefined> {
  const head = [
    `GET ${path} HTTP/1.1`,
    `Host: ${gate.host}`,
    `Cookie: ${cookie}`,
    'Sec-Fetch-Site: same-origin',
    'Connection: close',
  ];
  const { answers } = await exchange(gate.address, `${head.join('\r\n')}\r\n\r\n`);
  return answers[0]?.status;
}

test('an upstream with a certificate for its name gets the token', async () => {
  expect(await statusOf('/trusted')).toBe(200);
  expect(trusted.last.headers.authorization).toBe(`Bearer ${accessToken}`);
});

test('one with a certificate for another name, or from nobody we know, hears nothing (PX-16)', async () => {
  // A session of the good connection must not be taken up with another server.
  await statusOf('/trusted');
  expect(await statusOf('/other-name')).toBe(502);
  expect(await statusOf('/unknown')).toBe(502);
  expect([otherName.requests, unknown.requests]).toEqual([[], []]);
});
