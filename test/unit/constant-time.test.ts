// Signatures and seals are judged in constant time, and in as few places as there are kinds of them: whoever adds one adds it here.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);

/** Every line of the source that matches, as `file: line`. */
function linesWith(pattern: RegExp): string[] {
  return sources.flatMap((file) =>
    read(`src/${file}`)
      .split('\n')
      .filter((line) => pattern.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
}
const filesWith = (pattern: RegExp): string[] => sources.filter((file) => pattern.test(read(`src/${file}`)));

test('the session cookie’s signature is judged in one place, by a library that compares with timingSafeEqual (S-21)', () => {
  expect(linesWith(/\bunsign\(/)).toEqual(['session/cookie.ts: const sessionId = unsign(decoded.slice(2), secret);']);
  const library = read('node_modules/cookie-signature/index.js');
  const unsign = library.slice(library.indexOf('exports.unsign'));
  expect(unsign).toContain('crypto.timingSafeEqual(expectedBuffer, inputBuffer)');
  expect(unsign).not.toMatch(/(===?|!==?)\s*(expectedInput|input)\b/);
});

test('what is sealed is judged by the authentication tag of AES-GCM, inside the cipher (S-21)', () => {
  expect(filesWith(/\bcreateDecipheriv\(/)).toEqual(['tokens/seal.ts']);
  expect(linesWith(/\bcreateDecipheriv\(/)).toEqual([expect.stringContaining("createDecipheriv('aes-256-gcm'")]);
  expect(filesWith(/\bsetAuthTag\(/)).toEqual(['tokens/seal.ts']);
});

test('ID tokens and logout tokens are judged by jose alone (S-21)', () => {
  expect(filesWith(/\bcompactVerify\(/)).toEqual(['oidc/signing-keys.ts']);
  expect(filesWith(/\b(createVerify|verify)\([^)]*\bsignature\b|crypto\.verify\(/)).toEqual([]);
});

test('no other code makes a MAC, and no digest is compared with an operator but at_hash’s, which is no secret (S-21)', () => {
  expect(filesWith(/\bcreateHmac\(/)).toEqual([]);
  expect(linesWith(/digest.*(===|!==)|(===|!==).*digest/)).toEqual([
    "oidc/id-token.ts: if (digest.subarray(0, digest.length / 2).toString('base64url') !== expected) {",
  ]);
});
