// What a handshake must show, and what is told to either side: pure rules (RFC 6455 section 4).
import { describe, expect, test } from '@jest/globals';
import type { IncomingHttpHeaders } from 'node:http';
import { handshakeHeaders, isAccepted, refusalOfHandshake } from '../../../src/proxy/websocket-handshake.ts';

const publicUrl = 'https://shop.example.com';
const good: IncomingHttpHeaders = {
  origin: publicUrl,
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

describe('our own Origin, and nobody else’s (WS-01, CSRF-11)', () => {
  test('is enough: browsers send no Fetch Metadata with a handshake', () => {
    expect(refusalOfHandshake(good, publicUrl)).toBeUndefined();
    expect(refusalOfHandshake({ ...good, 'sec-fetch-site': 'same-origin' }, publicUrl)).toBeUndefined();
  });

  test.each([
    undefined,
    '',
    'null',
    'http://shop.example.com',
    'https://shop.example.com:8443',
    'https://shop.example.com.evil.example',
    'https://evil.example',
    'https://SHOP.example.com',
    'https://shop.example.com/',
    `${publicUrl}, ${publicUrl}`,
  ])('Origin %p is not', (origin) => {
    // A header of the app's own proves nothing here: no page can set one on a handshake.
    const headers = { ...good, origin, 'x-csrf': '1', 'sec-fetch-site': 'same-origin' };
    expect(refusalOfHandshake(headers, publicUrl)?.code).toBe('csrf_rejected');
  });

  test.each(['same-site', 'cross-site', 'none', 'anything'])('nor is it beside Sec-Fetch-Site: %s', (site) => {
    expect(refusalOfHandshake({ ...good, 'sec-fetch-site': site }, publicUrl)?.code).toBe('csrf_rejected');
  });
});

test('another version is told which one is spoken (RFC 6455 section 4.4, PX-14)', () => {
  for (const version of [undefined, '8', '12', '14', '13, 8', '013']) {
    const refusal = refusalOfHandshake({ ...good, 'sec-websocket-version': version }, publicUrl);
    expect(refusal).toMatchObject({
      status: 426,
      headers: { 'sec-websocket-version': '13', upgrade: 'websocket', connection: 'Upgrade, close' },
    });
  }
});

test('a key is sixteen bytes, once', () => {
  for (const key of [undefined, '', 'eDM=', 'dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==', 'a'.repeat(24)]) {
    expect(refusalOfHandshake({ ...good, 'sec-websocket-key': key }, publicUrl)?.code).toBe('bad_request');
  }
});

test('the upstream gets the handshake’s own fields, and no others from here', () => {
  const offered = { 'sec-websocket-protocol': 'a, b', 'sec-websocket-extensions': 'permessage-deflate' };
  expect(handshakeHeaders({ ...good, ...offered, cookie: 'x=1', 'x-other': '1' })).toEqual({
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': good['sec-websocket-key'],
    ...offered,
  });
});

test('only the answer to this very handshake opens a tunnel', () => {
  const key = 'dGhlIHNhbXBsZSBub25jZQ==';
  const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='; // RFC 6455 section 1.3.
  expect(isAccepted(key, { upgrade: 'WebSocket', 'sec-websocket-accept': accept })).toBe(true);
  expect(isAccepted(key, { upgrade: 'h2c', 'sec-websocket-accept': accept })).toBe(false);
  expect(isAccepted(key, { upgrade: 'websocket' })).toBe(false);
  expect(isAccepted(undefined, { upgrade: 'websocket', 'sec-websocket-accept': accept })).toBe(false);
});
