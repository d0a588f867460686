// The configuration file's shape: one zod schema, from which come the checks, the defaults, the JSON Schema and the reference page.
// Rules that span several keys are in rules.ts; the sentences about wrong values in issues.ts.
import * as z from 'zod';
import { operationsSection, shutdownSection, tlsSection, workerCount } from './listener-schema.ts';
import { limitsSection } from './limits-schema.ts';
import { logSection } from './log-schema.ts';
import { cookieSection, csrfSection, loginSection, logoutSection } from './login-schema.ts';
import { providerSection } from './provider-schema.ts';
import { redisSection } from './redis-schema.ts';
import { routeSection } from './route-schema.ts';
import { sessionSection } from './session-schema.ts';
import {
  headerValue,
  httpUrl,
  listenAddress,
  machinePath,
  network,
  noncePlaceholder,
  origin,
  routePath,
  secretValue,
} from './values.ts';
import type { ReadSecret } from './values.ts';

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
    cookie: cookieSection,
    csrf: csrfSection,
    login: loginSection,
    logout: logoutSection,
    limits: limitsSection,
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
