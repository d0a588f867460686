// An API as it stands behind Postern: it knows nothing of cookies or sessions, wants a Bearer token, and asks the provider about it (RFC 7662).
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';

/** What the provider says of a token that is good. Instants are seconds since 1970. */
interface Claims {
  sub: string;
  scope: string;
  iat: number;
  exp: number;
}

interface Answer {
  status: number;
  body: object;
  headers?: Record<string, string>;
}

const { PORT, INTROSPECTION_URL = '', CLIENT_ID = '', CLIENT_SECRET = '' } = process.env;
const basic = Buffer.from(`${encodeURIComponent(CLIENT_ID)}:${encodeURIComponent(CLIENT_SECRET)}`).toString('base64');
const ordersOf = new Map<string, { id: number; text: string }[]>();

/** Undefined when the token is not good, or not for this API. Throws when the provider cannot be asked. */
async function introspect(token: string): Promise<Claims | undefined> {
  const response = await fetch(INTROSPECTION_URL, {
    method: 'POST',
    headers: { authorization: `Basic ${basic}` },
    body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
    signal: AbortSignal.timeout(5000),
  });
  if (!response.ok) throw new Error(`introspection answered ${response.status}`);
  const answer = (await response.json()) as Claims & { active: boolean; aud?: string | string[] };
  return answer.active && [answer.aud].flat().includes(CLIENT_ID) ? answer : undefined;
}

async function answer(request: IncomingMessage): Promise<Answer> {
  const { pathname } = new URL(request.url ?? '/', 'http://api');
  if (pathname === '/api/health') return { status: 200, body: { healthy: true } };
  if (pathname !== '/api/orders') return { status: 404, body: { error: 'not_found' } };

  const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined) return refusal('Bearer');
  const claims = await introspect(token);
  if (claims === undefined) return refusal('Bearer error="invalid_token"');
  return answerOrders(request, claims.sub, describe(token, claims));
}

async function answerOrders(request: IncomingMessage, user: string, accessToken: object): Promise<Answer> {
  const orders = ordersOf.get(user) ?? [{ id: 1, text: 'Tea for one' }];
  ordersOf.set(user, orders);
  if (request.method === 'GET') return { status: 200, body: { orders, accessToken } };
  if (request.method !== 'POST') return { status: 405, body: { error: 'method_not_allowed' } };
  const text = await readOrder(request);
  if (text === undefined) return { status: 400, body: { error: 'send {"text": "…"}, 1 to 200 characters' } };
  orders.push({ id: orders.length + 1, text });
  return { status: 201, body: { orders, accessToken } };
}

/** What the API may tell of a token: everything but the token. The fingerprint tells one from the next. */
function describe(token: string, { sub, scope, iat, exp }: Claims): object {
  return {
    format: 'JWT',
    user: sub,
    scope,
    issuedAt: new Date(iat * 1000).toISOString(),
    expiresAt: new Date(exp * 1000).toISOString(),
    fingerprint: createHash('sha256').update(token).digest('hex').slice(0, 8),
  };
}

async function readOrder(request: IncomingMessage): Promise<string | undefined> {
  let json = '';
  for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) {
    json += chunk;
    if (json.length > 10_000) return undefined;
  }
  try {
    const { text } = JSON.parse(json) as { text?: unknown };
    return typeof text === 'string' && text.trim() !== '' && text.length <= 200 ? text.trim() : undefined;
  } catch {
    return undefined;
  }
}

// RFC 6750 section 3: why a token was not enough stands in the header.
function refusal(challenge: string): Answer {
  return { status: 401, body: { error: 'a valid access token is needed' }, headers: { 'www-authenticate': challenge } };
}

const server = createServer((request, response) => {
  void answer(request)
    .catch((): Answer => ({ status: 503, body: { error: 'the provider cannot be asked' } }))
    .then(({ status, body, headers }) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    });
});
server.listen(Number(PORT), () => console.log('listening on', server.address()));
process.once('SIGTERM', () => server.close());
