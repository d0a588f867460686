import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { contextFor, createRequestContexts } from '../../../src/http/request-context.ts';
import type { RequestContext } from '../../../src/http/request-context.ts';

/** The context of a real request over a real socket from 127.0.0.1. */
async function contextOf(trusted: string[], headers: Record<string, string | string[]>): Promise<RequestContext> {
  const begin = createRequestContexts({ trusted, randomId: () => 'made-here', monotonicNow: () => 42 });
  const server = createServer((request, response) => {
    begin(request);
    response.end(JSON.stringify(contextFor(request)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const [answer] = (await once(httpRequest({ port, host: '127.0.0.1', headers }).end(), 'response')) as [
    IncomingMessage,
  ];
  const body = (await answer.toArray()).join('');
  server.close();
  return JSON.parse(body) as RequestContext;
}

test('a stranger cannot say where it comes from, nor under which id it is logged (LOGS-03)', async () => {
  const headers = {
    'x-forwarded-for': '6.6.6.6',
    forwarded: 'for=6.6.6.6',
    'x-real-ip': '6.6.6.6',
    'x-request-id': 'chosen-by-me-1',
  };
  expect(await contextOf([], headers)).toMatchObject({
    clientAddress: '127.0.0.1',
    requestId: 'made-here',
    startedAt: 42,
  });
  expect(await contextOf(['10.0.0.0/8'], headers)).toMatchObject({
    clientAddress: '127.0.0.1',
    requestId: 'made-here',
  });
});

test('a trusted proxy is believed as far as it vouches for: the nearest address that is not trusted is the client', async () => {
  const headers = { 'x-forwarded-for': '6.6.6.6, 203.0.113.7, 10.1.2.3', 'x-request-id': 'from-the-edge-1' };
  expect(await contextOf(['127.0.0.1', '10.0.0.0/8'], headers)).toMatchObject({
    clientAddress: '203.0.113.7',
    requestId: 'from-the-edge-1',
  });
});

test.each([
  ['203.0.113.7:51234', '203.0.113.7'],
  ['[2001:db8::7]:51234', '2001:db8::7'],
  ['[2001:db8::7]', '2001:db8::7'],
  ['[::ffff:203.0.113.7]:51234', '203.0.113.7'],
  ['2001:db8::7', '2001:db8::7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
])('a gateway that says %s means the address %s', async (said, address) => {
  expect(await contextOf(['127.0.0.1'], { 'x-forwarded-for': said })).toMatchObject({
    clientAddress: address,
    forwardedFor: `${address}, 127.0.0.1`,
  });
  // A trusted one is known with its port, too.
  const headers = { 'x-forwarded-for': `${said}, 10.1.2.3:443` };
  expect(await contextOf(['127.0.0.1', '10.0.0.0/8'], headers)).toMatchObject({
    clientAddress: address,
    forwardedFor: `${address}, 10.1.2.3, 127.0.0.1`,
  });
});

test.each(['', 'short', 'has space in it', 'x'.repeat(65), '"quoted-id"', 'semi;colon-id', 'a\tb-tabbed-id'])(
  'an id that could break a log line or a header is replaced: %j (LOGS-03)',
  async (id) => {
    expect(await contextOf(['127.0.0.1'], { 'x-request-id': id })).toMatchObject({ requestId: 'made-here' });
  },
);
