// What is said of the certificate of our own, before any client sees it.
import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { makeCertificate } from '../../support/certificate.ts';
import type { Certificate } from '../../support/certificate.ts';
import { complaintsAbout, load, rightSave } from '../../support/config-text.ts';

const hour = 3_600_000;
const tls = 'tls: { cert: { file: /tls.crt }, key: { file: /tls.key } }\n';
const right = makeCertificate(['shop.example.com']);

/** What an operator reads when the two files are these; `more` comes after `tls`. */
function saidOf({ cert, key }: Certificate, more = ''): string[] {
  return complaintsAbout(rightSave(tls + more), { files: { '/tls.crt': cert, '/tls.key': key } });
}

test('a certificate with its key, valid and for the host of publicUrl, is nothing to talk about', () => {
  expect(saidOf(right)).toEqual([]);
  expect(saidOf(makeCertificate(['*.example.com']))).toEqual([]);
  expect(saidOf(makeCertificate(['192.0.2.7']), 'publicUrl: https://192.0.2.7\n')).toEqual([]);
  expect(load(rightSave(tls), { files: { '/tls.crt': right.cert, '/tls.key': right.key } }).kind).toBe('ok');
});

test('a chain is right when the server’s own certificate comes first', () => {
  const authority = makeCertificate(['authority.example.com']);
  expect(saidOf({ ...right, cert: right.cert + authority.cert })).toEqual([]);
  expect(saidOf({ ...right, cert: authority.cert + right.cert })).toEqual([
    'postern.yaml:1:47 tls.key.file: /tls.key does not belong to the certificate; in the file of tls.cert the server’s own must come first',
  ]);
});

test('files that are not there, or hold something else, are named', () => {
  expect(complaintsAbout(rightSave(tls), { files: { '/tls.crt': right.key } })).toEqual([
    'postern.yaml:1:22 tls.cert.file: /tls.crt holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)',
    'postern.yaml:1:47 tls.key.file: /tls.key cannot be read: there is no such file',
  ]);
  expect(
    complaintsAbout(rightSave('tls: { cert: { file: /tls.crt } }'), { files: { '/tls.crt': right.cert } }),
  ).toEqual([expect.stringContaining('tls.key: missing')]);
});

const passphrase = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' } as const;
const encrypted = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(passphrase).toString();
const otherKind = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
});

test.each([
  [
    'a key of another certificate',
    { ...right, key: makeCertificate(['a']).key },
    'key does not belong to the certificate',
  ],
  ['a key of another kind', { ...right, key: otherKind.toString() }, 'key does not belong to the certificate'],
  ['half a key', { ...right, key: right.key.slice(0, 90) }, 'key holds a key that is cut off or damaged'],
  ['half a certificate', { ...right, cert: right.cert.slice(0, 300) }, 'crt holds a certificate that is cut off'],
  ['half a chain', { ...right, cert: right.cert + right.cert.slice(0, 300) }, 'crt holds a damaged chain'],
  ['a key under a passphrase', { ...right, key: encrypted }, 'key holds a key under a passphrase'],
])('TLS cannot be served with %s: that is said before the start, and the key is not', (_what, pair, why) => {
  const said = saidOf(pair);
  expect(said).toEqual([expect.stringContaining(`/tls.${why}`)]);
  expect(said[0]).not.toContain('warning');
  expect(said[0]).not.toContain(pair.key.split('\n')[1]);
});

test('a certificate that clients will refuse is served all the same, and warned of: not yet valid, expired, for another host', () => {
  const expired = makeCertificate(['shop.example.com'], { from: Date.now() - 2 * hour, to: Date.now() - hour });
  const early = makeCertificate(['shop.example.com'], { from: Date.now() + hour, to: Date.now() + 2 * hour });
  const other = makeCertificate(['other.example.com', '192.0.2.7']);
  const place = 'postern.yaml:1:22 warning: tls.cert.file: /tls.crt';
  expect(saidOf(expired)).toEqual([expect.stringMatching(`^${place} expired at .* GMT$`)]);
  expect(saidOf(early)).toEqual([expect.stringMatching(`^${place} is not valid before .* GMT$`)]);
  expect(saidOf(other)).toEqual([
    `${place} does not cover shop.example.com; it is for DNS:other.example.com, IP Address:192.0.2.7`,
  ]);
  expect(saidOf(right, 'publicUrl: https://192.0.2.7\n')).toEqual([
    expect.stringContaining('does not cover 192.0.2.7'),
  ]);
});

test('browsers must be told to use it: a publicUrl on http is refused', () => {
  expect(saidOf(right, 'publicUrl: http://localhost:8080\n')[0]).toBe(
    'postern.yaml:1:6 tls: stands beside a publicUrl on http (http://localhost:8080); make publicUrl https',
  );
});
