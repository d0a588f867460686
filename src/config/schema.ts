// The configuration file's shape: one zod schema, from which come the checks, the defaults, the JSON Schema and the reference page.
// Rules that span several keys are in rules.ts; the sentences about wrong values in issues.ts.
import * as z from 'zod';
import { operationsSection, shutdownSection, tlsSection, workerCount } from './listener-schema.ts';
import { logSection } from './log-schema.ts';
import { providerSection } from './provider-schema.ts';
import { redisSection } from './redis-schema.ts';
import { routeSection } from './route-schema.ts';
import { sessionSection } from './session-schema.ts';
import {
  cookieName,
  duration,
  headSize,
  headerValue,
  httpUrl,
  listenAddress,
  machinePath,
  network,
  noncePlaceholder,
  origin,
  ownPath,
  routePath,
  secretValue,
  timeLimit,
} from './values.ts';
import type { ReadSecret } from './values.ts';

/** What an application may ask of `/bff/login`, once `login.parameters` allows it (OIDC Core 3.1.2.1). */
export const loginParameters = ['prompt', 'login_hint', 'max_age', 'acr_values', 'ui_locales'] as const;

/**
 * The schema, with its two ways to the outside: `readSecret` is called for every secret of the file,
 * `resolvePath` makes the paths of files and directories absolute.
 */
export function createConfigSchema(readSecret: ReadSecret, resolvePath: (path: string) => string = (path) => path) {
  const path = machinePath(resolvePath);
  const secret = secretValue(readSecret, path);

  const spa = z.union(
    [
      z.strictObject({
        directory: path.describe('The built app. Its index.html answers every navigation that is no file.'),
        contentSecurityPolicy: headerValue.optional().describe('Replaces the default policy of the pages.'),
        noncePlaceholder: noncePlaceholder
          .optional()
          .describe(
            'What stands in the HTML files, and in a contentSecurityPolicy, where the nonce goes that is new in every response: the html.cspNonce of a Vite build. The pages are then never cached.',
          ),
      }),
      z.strictObject({ upstream: httpUrl.describe('A development server that serves the app.') }),
    ],
    { error: 'either directory (built files) or upstream (a development server)' },
  );

  return z.strictObject({
    version: z.literal(1).optional().describe('The version of this file’s format.'),
    publicUrl: origin.describe(
      'What the browser sees. Every URL that Postern emits is built from it, never from Host.',
    ),
    basePath: routePath
      .refine((path) => path !== '/', 'a path other than /')
      .default('/bff')
      .describe('Where Postern’s own endpoints are.'),
    listen: listenAddress.prefault('0.0.0.0:8080').describe('The public listener.'),
    tls: tlsSection(path)
      .optional()
      .describe(
        'TLS on the public listener, where nothing in front ends it. The files are read again when they change.',
      ),
    workers: workerCount
      .default(1)
      .describe(
        'Processes that share the public listener; auto: as many as there are processors. More than 1 needs redis.',
      ),
    operations: operationsSection(secret).prefault({}).describe('What operators and machines ask.'),
    shutdown: shutdownSection.prefault({}).describe('How a process ends when it is told to.'),
    forwardAuth: z
      .strictObject({
        listen: listenAddress.describe(
          'Where a gateway asks, at /forward-auth, whether a request may pass. A yes carries the access token: no browser may reach it.',
        ),
      })
      .optional()
      .describe('For gateways that carry the bytes of API calls themselves: nginx, Caddy, Traefik, Envoy.'),
    trustedProxies: z
      .array(network)
      .default([])
      .describe('Addresses or networks (CIDR) of the proxies in front that may say who the client is.'),
    provider: providerSection(secret, path).describe('The OpenID provider.'),
    session: sessionSection(secret).describe('Sessions: keys and lifetimes.'),
    redis: redisSection(secret, path)
      .optional()
      .describe('Where sessions are kept. Without it they live in this process: one replica, gone at restart.'),
    routes: z.array(routeSection(path)).default([]).describe('What is proxied.'),
    spa: spa.optional().describe('The single-page app, unless somebody else serves it.'),
    cookie: z
      .strictObject({
        name: cookieName
          .default('postern')
          .describe('The cookie’s name without its prefix. Two Posterns on one host need different ones.'),
        sameSite: z
          .enum(['strict', 'lax'])
          .default('strict')
          .describe('lax: only for pages rendered behind Postern that must know the user on the first click.'),
        persistent: z.boolean().default(false).describe('true: the cookie outlives the browser, for installed apps.'),
      })
      .prefault({})
      .describe('The session cookie.'),
    csrf: z
      .strictObject({
        requireHeader: z
          .boolean()
          .default(false)
          .describe('true: every call needs X-CSRF: 1, RFC 10017 to the letter.'),
      })
      .prefault({})
      .describe(
        'How a call shows that it comes from this app. The browser’s own Sec-Fetch-Site is enough unless said otherwise.',
      ),
    login: z
      .strictObject({
        errorUrl: ownPath
          .optional()
          .describe(
            'A path of the app that failed logins end on, with ?error=<code>. Without it: a page of Postern’s.',
          ),
        crossSite: z
          .enum(['confirm', 'allow'])
          .default('confirm')
          .describe('A login link on another site: ask first, or go on.'),
        parameters: z
          .array(z.enum(loginParameters))
          .default(['prompt', 'login_hint', 'ui_locales'])
          .describe('Query parameters of /bff/login that are passed to the provider.'),
        maxAge: duration
          .optional()
          .describe(
            'How long ago a person may have logged in at the provider: sent as max_age, and auth_time is checked. Without it the provider decides.',
          ),
      })
      .prefault({})
      .describe('How logins begin and where failed ones end.'),
    logout: z
      .strictObject({
        revoke: z
          .enum(['auto', 'always', 'never'])
          .default('auto')
          .describe(
            'Whether the end of a session revokes its refresh token; auto: yes, save where that hits more than this session.',
          ),
        idTokenHint: z.boolean().default(true).describe('false: the provider is told client_id alone.'),
        returnTo: ownPath.default('/').describe('The path that a logout ends on.'),
        frontChannel: z
          .boolean()
          .default(false)
          .describe('true: the provider may end sessions through a frame in the browser, at /bff/frontchannel-logout.'),
        clearSiteData: z
          .array(z.enum(['cache', 'cookies', 'storage']))
          .default([])
          .describe(
            'What the browser forgets of the app at a logout (Clear-Site-Data). cookies: those of every host under the registrable domain.',
          ),
      })
      .prefault({})
      .describe('What a logout does at the provider, and where it ends.'),
    limits: z
      .strictObject({
        headers: headSize.prefault('32kb').describe('The largest request head; more gets 431.'),
        streams: z
          .int('a whole number of streams')
          .min(1, 'at least 1')
          .default(10_000)
          .describe(
            'The most event streams open at once in one process, those of APIs to signed-in callers included; more get 503.',
          ),
        websockets: z
          .int('a whole number of WebSockets')
          .min(1, 'at least 1')
          .default(10_000)
          .describe('The most WebSockets open at once in one process; more get 503.'),
        websocketsPerSession: z
          .int('a whole number of WebSockets')
          .min(1, 'at least 1')
          .default(32)
          .describe('The most WebSockets of one session open at once in one process; more get 429.'),
        upstreamRequests: z
          .int('a whole number of requests')
          .min(1, 'at least 1')
          .default(10_000)
          .describe('The most requests that one process has under way at one upstream; more get 503 at once.'),
        sessionRequests: z
          .strictObject({
            count: z.int('a whole number of requests').min(1, 'at least 1').describe('How many requests.'),
            per: timeLimit.describe('In which time.'),
          })
          .optional()
          .describe(
            'The most proxied calls of one session in a span of time, counted in each process; more get 429. Without it they are not counted.',
          ),
        logins: z
          .int('a whole number of logins')
          .min(1, 'at least 1')
          .default(100)
          .describe('The most logins that one process starts at once, and as many that it finishes; more get 503.'),
      })
      .prefault({})
      .describe('How much a request may ask for.'),
    log: logSection,
    strictTransportSecurity: z
      .union([headerValue, z.literal(false)], { error: 'a header value, or false' })
      .default('max-age=31536000; includeSubDomains')
      .describe('The header on https; false when the edge sets it.'),
    insecure: z
      .strictObject({
        httpIssuer: z.boolean().default(false).describe('Allow a provider on plain http that is not on loopback.'),
        httpPublicUrl: z.boolean().default(false).describe('Allow a publicUrl on plain http that is not on loopback.'),
        publicClient: z.boolean().default(false).describe('Allow a client without a secret.'),
        weakKey: z.boolean().default(false).describe('Allow session keys shorter than 32 bytes.'),
      })
      .prefault({})
      .describe('Each key switches one protection off. Never in production.'),
  });
}

/** The whole configuration, checked and with every default in place. Spans without a unit in their name are seconds. */
export type Config = z.output<ReturnType<typeof createConfigSchema>>;

/** One route of the configuration. */
export type RouteConfig = Config['routes'][number];

/** Where something listens; port 0 lets the system choose. */
export type ListenAddress = Config['listen'];
