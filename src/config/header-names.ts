// Which header fields nobody may configure, and why: they belong to one connection, frame the body, or are Postern's to say (RFC 9110 section 7.6.1).
// The proxy drops the same names from what clients and upstreams send, so that the two lists cannot drift apart.

/** Fields between two neighbours, and those that frame the body. All in lower case, as everywhere here. */
const connectionNames = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'];

/** Of a request: about this connection alone. */
export const requestConnectionNames: ReadonlySet<string> = new Set([
  ...connectionNames,
  ...['content-length', 'http2-settings', 'expect'],
]);

/** Of a request: what Postern says itself, or hears for itself. */
export const ownRequestNames: ReadonlySet<string> = new Set([
  ...['host', 'authorization', 'cookie', 'via', 'forwarded', 'x-request-id', 'traceparent', 'tracestate'],
  ...['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port'],
  ...['dpop', 'x-csrf', 'set-cookie'],
]);

/** Of a request: nothing that a client could be believed about. Others than these begin with `x-forwarded-`. */
export const neverFromClients: ReadonlySet<string> = new Set([
  // Who the client is, according to the client.
  ...[
    'x-real-ip',
    'true-client-ip',
    'client-ip',
    'x-client-ip',
    'x-cluster-client-ip',
    'cf-connecting-ip',
    'fastly-client-ip',
  ],
  ...['client-cert', 'client-cert-chain'],
  // The proxy that a CGI script is to use itself, according to the client (CVE-2016-5385).
  'proxy',
  // What was asked for, according to the client: some frameworks route by these.
  ...[
    'x-original-url',
    'x-original-uri',
    'x-original-method',
    'x-original-host',
    'x-original-forwarded-for',
    'x-rewrite-url',
    'x-http-method',
    'x-http-method-override',
    'x-method-override',
  ],
]);

/** Of an answer: about this connection alone. */
export const responseConnectionNames: ReadonlySet<string> = new Set(connectionNames);

/** Of an answer: nothing that an upstream may say to a browser in our origin. Others than these begin with `access-control-`. */
export const neverFromUpstreams: ReadonlySet<string> = new Set([
  // Who is behind us, and a password prompt that would not be ours.
  ...['server', 'x-powered-by', 'www-authenticate'],
  // Power over our whole origin.
  ...['clear-site-data', 'refresh', 'service-worker-allowed', 'strict-transport-security', 'alt-svc'],
  ...['public-key-pins', 'public-key-pins-report-only', 'timing-allow-origin'],
  // A session of the browser's own (W3C DBSC): it would hold back every request of the origin until the upstream has answered.
  ...['secure-session-registration', 'secure-session-challenge'],
  ...['nel', 'report-to', 'reporting-endpoints'],
  // Orders to a web server in front of us.
  ...['x-accel-redirect', 'x-accel-expires', 'x-sendfile'],
  // Ours.
  ...['postern-session', 'set-cookie2'],
]);

/** Fields that say how to read a body: without them it would be another body. */
export const bodyNames: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'content-range',
]);

// Anything but letters, digits and hyphens may be folded into a hyphen by CGI-like servers: X_Forwarded_User (CVE-2025-64484).
const plain = /^[a-z0-9-]+$/;

/** Whether a name, in lower case, is one that every server reads alike. */
export function isPlainName(name: string): boolean {
  return plain.test(name);
}
