// One entry of `routes`: a path prefix of the public origin, and what happens to requests under it.
import * as z from 'zod';
import {
  acrValue,
  bodySize,
  cookieName,
  fieldText,
  headerValue,
  routePath,
  serverName,
  timeLimit,
  upstreamAddress,
} from './values.ts';
import type { machinePath } from './values.ts';

/** The methods that are proxied at all. */
export const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

const headers = z
  .strictObject({
    request: z
      .strictObject({
        set: z
          .record(z.string(), fieldText)
          .default({})
          .describe('Header fields that each request carries, in place of the client’s.'),
        remove: z.array(z.string()).default([]).describe('Header fields of the client that stay here.'),
        allow: z
          .array(z.string())
          .optional()
          .describe('The only header fields of the client that go on, beside those that say how to read the body.'),
      })
      .prefault({}),
    claims: z
      .record(z.string(), z.string().min(1))
      .default({})
      .describe('Header fields that carry a claim of the user, such as X-User-Id: sub. No client can send them.'),
    response: z
      .strictObject({
        set: z
          .record(z.string(), fieldText)
          .default({})
          .describe('Header fields that each answer carries, in place of the upstream’s.'),
        remove: z.array(z.string()).default([]).describe('Header fields of the upstream that stay here.'),
        allow: z
          .array(z.string())
          .optional()
          .describe(
            'The only header fields of the upstream that pass, beside those that say how to read the body and how long to keep it.',
          ),
      })
      .prefault({}),
  })
  .prefault({});

const stepUp = z
  .strictObject({
    acrValues: z
      .array(acrValue)
      .default([])
      .describe('Values of acr_values that the upstream may ask for; /bff/login takes them too then.'),
    maxAge: z
      .boolean()
      .default(false)
      .describe('Whether the upstream may ask for a fresh login (max_age); /bff/login takes max_age too then.'),
  })
  .optional()
  .describe(
    'What the upstream may ask of a login by insufficient_user_authentication (RFC 9470). Without it its 401 goes through as it is.',
  );

const websocket = z.strictObject({
  idleTimeout: timeLimit.prefault('1h').describe('Without a byte in either direction; then it is closed.'),
  maxAge: timeLimit.optional().describe('However busy it is; then the client is asked to come back.'),
});

export function routeSection(path: ReturnType<typeof machinePath>) {
  const pem = (what: string) => z.strictObject({ file: path.describe(what) }).optional();

  return z.strictObject({
    path: routePath.describe('The path prefix, on segment boundaries: /api does not match /apixyz. The longest wins.'),
    upstream: upstreamAddress.describe(
      'Where matching requests go: http://host:port, https://host (a path in it is put in front), or a socket of this machine, unix:/run/app.sock.',
    ),
    auth: z
      .enum(['required', 'optional', 'none'])
      .default('required')
      .describe(
        'required: 401 without a session; optional: goes through without a token; none: never a token, never a look at the store.',
      ),
    token: z
      .enum(['access', 'id', 'none'])
      .default('access')
      .describe('Which token the upstream gets; with auth: none it gets none.'),
    require: z
      .record(
        z.string(),
        z.array(z.union([z.string(), z.number(), z.boolean()], { error: 'text, a number, true or false' })).min(1),
      )
      .default({})
      .describe(
        'Claims that the user must have, each with the values of which one is needed, such as roles: [admin]; others get 403. Only with auth: required.',
      ),
    stripPath: z.boolean().default(false).describe('Take the route’s own path off before the request is sent on.'),
    rewrite: routePath.optional().describe('What the upstream gets in place of the route’s own path.'),
    methods: z
      .array(z.enum(methods))
      .min(1)
      .default([...methods])
      .describe('Methods that pass; others get 405.'),
    csrf: z
      .strictObject({
        typedUrl: z
          .boolean()
          .default(false)
          .describe('GET and HEAD navigations typed into the address bar pass (Sec-Fetch-Site: none).'),
        navigation: z
          .boolean()
          .default(false)
          .describe(
            'Navigations need no X-CSRF header even where csrf.requireHeader asks for it: downloads, printed pages.',
          ),
      })
      .prefault({}),
    cookies: z
      .strictObject({
        request: z
          .array(cookieName)
          .default([])
          .describe('Cookies that are passed to the upstream; all others stay here.'),
        response: z
          .array(cookieName)
          .default([])
          .describe('Cookies that the upstream may set; all others are dropped.'),
      })
      .prefault({}),
    headers,
    contentSecurityPolicy: z
      .union([z.literal('upstream'), headerValue], { error: 'upstream, or a header value' })
      .optional()
      .describe(
        'Replaces the policy that lets no script run; upstream: the upstream’s own, where it sends one. For routes that serve pages.',
      ),
    cache: z
      .enum(['private', 'upstream'])
      .default('private')
      .describe(
        'private: answers without Cache-Control become no-store, public ones private; upstream: left as they come.',
      ),
    encodedSlash: z
      .enum(['reject', 'pass'])
      .default('reject')
      .describe('What happens to %2F in a path. pass: only for an upstream that does not decode it.'),
    stepUp,
    websocket: z
      .union([z.boolean(), websocket], { error: 'true, false, or { idleTimeout, maxAge }' })
      .default(false)
      .describe('Whether WebSockets pass, and how long they may live. They need our own Origin, whatever auth says.'),
    activity: z.boolean().default(true).describe('Whether calls on this route keep the session alive.'),
    limits: z
      .strictObject({
        body: bodySize
          .optional()
          .describe('The largest request body; more gets 413. Any size unless given: bodies stream, and are not kept.'),
      })
      .prefault({}),
    tls: z
      .strictObject({
        ca: pem('PEM file with the authority that signed the upstream’s certificate; by default the public ones.'),
        cert: pem('PEM file with the client certificate, where the upstream asks for one.'),
        key: pem('PEM file with the client certificate’s key.'),
        serverName: serverName
          .optional()
          .describe('The name in the upstream’s certificate, where it is not the host of upstream.'),
      })
      .optional()
      .describe('For an upstream on https. The files are read again when they change.'),
    timeout: z
      .strictObject({
        connect: timeLimit.prefault('5s').describe('To connect to the upstream.'),
        headers: timeLimit.prefault('1m').describe('From the request to the head of the answer.'),
        idle: timeLimit.prefault('5m').describe('Between two pieces of the answer.'),
      })
      .prefault({}),
  });
}

/** How long a WebSocket on a route may live, in seconds; undefined where none passes. */
export function websocketLimitsOf(setting: boolean | z.output<typeof websocket>) {
  if (setting === false) return undefined;
  return setting === true ? websocket.parse({}) : setting;
}

/** Whether some route's calls carry a token of the session's. */
export function needsTokens({ routes }: { routes: readonly { auth: string; token: string }[] }): boolean {
  return routes.some(({ auth, token }) => auth !== 'none' && token !== 'none');
}
