// The demo's API. It knows nothing of Postern, cookies or sessions: it wants a Bearer token, and says what it saw in it.
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createAccessTokenVerifier } from './access-token.ts';
import type { AccessTokenCheck, AccessTokenVerifierOptions } from './access-token.ts';
import { listenNear } from './ports.ts';

interface Order {
  id: number;
  text: string;
}

interface Answer {
  status: number;
  body: object;
  headers?: Record<string, string>;
}

/** Starts the API on 127.0.0.1: GET and POST /api/orders, with an access token of scope `orders`; GET /api/health without. */
export async function startApi(options: AccessTokenVerifierOptions & { preferredPort: number }) {
  const verify = createAccessTokenVerifier(options);
  const ordersOf = new Map<string, Order[]>();

  async function answer(request: IncomingMessage): Promise<Answer> {
    const { pathname } = new URL(request.url ?? '/', 'http://api');
    if (pathname === '/api/health') return { status: 200, body: { healthy: true } };
    if (pathname !== '/api/orders') return { status: 404, body: { error: 'not_found' } };

    const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) return refusal(401, 'Bearer');
    const check = await verify(token);
    if (check.kind === 'invalid') return refusal(401, 'Bearer error="invalid_token"');
    if (check.claims.scope?.split(' ').includes('orders') !== true) {
      return refusal(403, 'Bearer error="insufficient_scope", scope="orders"');
    }
    return answerOrders(request, check.claims.sub, describe(token, check));
  }

  async function answerOrders(request: IncomingMessage, user: string, accessToken: object): Promise<Answer> {
    const orders = ordersOf.get(user) ?? [{ id: 1, text: 'Tea for one' }];
    ordersOf.set(user, orders);
    switch (request.method) {
      case 'GET':
        return { status: 200, body: { orders, accessToken } };
      case 'POST': {
        const text = await readOrder(request);
        if (text === undefined) return { status: 400, body: { error: 'send {"text": "…"}, 1 to 200 characters' } };
        orders.push({ id: orders.length + 1, text });
        return { status: 201, body: { orders, accessToken } };
      }
      default:
        return { status: 405, body: { error: 'method_not_allowed' }, headers: { allow: 'GET, POST' } };
    }
  }

  const { port, close } = await listenNear(options.preferredPort, (request, response) => {
    void answer(request)
      .catch((): Answer => ({ status: 503, body: { error: 'the provider cannot be asked' } }))
      .then((answered) => send(response, answered));
  });
  return { url: `http://127.0.0.1:${port}`, close };
}

/** What the API may tell of a token: everything but the token. The fingerprint tells one from the next. */
function describe(token: string, { format, claims }: Extract<AccessTokenCheck, { kind: 'valid' }>) {
  return {
    format,
    user: claims.sub,
    scope: claims.scope,
    issuedAt: new Date(claims.iat * 1000).toISOString(),
    expiresAt: new Date(claims.exp * 1000).toISOString(),
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
function refusal(status: 401 | 403, challenge: string): Answer {
  const error = status === 401 ? 'a valid access token is needed' : 'the scope "orders" is needed';
  return { status, body: { error }, headers: { 'www-authenticate': challenge } };
}

function send(response: ServerResponse, { status, body, headers }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
