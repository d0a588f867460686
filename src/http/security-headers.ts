// Response headers that make our origin a hard place to attack: helmet decides them, once, at start (OWASP ASVS 5.0 V3.4).
import { ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';
import helmet from 'helmet';

/** Header names (lower case) and values, ready to be written. */
export type HeaderList = Readonly<Record<string, string>>;

/** The sets of headers, one for each kind of answer. */
export interface SecurityHeaders {
  /** JSON, redirects and errors under the base path. */
  own: HeaderList;
  /** Pages of ours. Forms on them may go to `formTargets`; `same-origin`, because under `no-referrer` their Origin would be `null`. */
  page(options: { scriptNonce?: string; formTargets?: readonly string[] }): HeaderList;
  /** What an upstream answers inside our origin: it may carry data, never a page that runs scripts. */
  proxied: HeaderList;
  /**
   * The app's own files. `formTargets` lets a form logout be redirected to the provider; scripts and styles in a page itself run under `nonce`, which may be
   * a placeholder for one.
   */
  app(contentSecurityPolicy: string | undefined, formTargets: readonly string[], nonce?: string): HeaderList;
}

/** `https`: whether browsers come over TLS, for only then does Strict-Transport-Security mean anything. `strictTransportSecurity` is false where the edge sends it. */
export function createSecurityHeaders(options: {
  https: boolean;
  strictTransportSecurity: string | false;
}): SecurityHeaders {
  const transport: HeaderList =
    options.https && options.strictTransportSecurity !== false
      ? { 'strict-transport-security': options.strictTransportSecurity }
      : {};
  const base = helmetHeaders('no-referrer');
  const pages = helmetHeaders('same-origin');
  const nothing = "default-src 'none'; base-uri 'none'; object-src 'none'";
  return {
    own: { ...base, ...transport, 'content-security-policy': `${nothing}; form-action 'none'; frame-ancestors 'none'` },
    page: ({ scriptNonce, formTargets = [] }) => ({
      ...pages,
      ...transport,
      'content-security-policy': [
        nothing,
        "style-src 'unsafe-inline'",
        ...(scriptNonce === undefined ? [] : [`script-src 'nonce-${scriptNonce}'`, "connect-src 'self'"]),
        `form-action ${["'self'", ...formTargets].join(' ')}`,
        "frame-ancestors 'none'",
      ].join('; '),
    }),
    proxied: {
      ...transport,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "script-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'self'",
    },
    app: (contentSecurityPolicy, formTargets, nonce) => ({
      ...pages,
      ...transport,
      'content-security-policy':
        contentSecurityPolicy ??
        [
          "default-src 'self'",
          ...(nonce === undefined ? [] : [`script-src 'self' 'nonce-${nonce}'`, `style-src 'self' 'nonce-${nonce}'`]),
          "base-uri 'none'",
          "object-src 'none'",
          `form-action ${["'self'", ...formTargets].join(' ')}`,
          "frame-ancestors 'none'",
        ].join('; '),
    }),
  };
}

// Runs helmet against a response that goes nowhere: its choices, without its cost on every request.
function helmetHeaders(referrerPolicy: 'no-referrer' | 'same-origin'): HeaderList {
  const middleware = helmet({
    contentSecurityPolicy: false,
    strictTransportSecurity: false,
    referrerPolicy: { policy: referrerPolicy },
    xFrameOptions: { action: 'deny' },
  });
  const request = { headers: {} } as unknown as IncomingMessage;
  const response = new ServerResponse(request);
  middleware(request, response, () => undefined);
  return Object.fromEntries(Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)]));
}
