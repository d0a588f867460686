// npm run demo: a provider, an API and a single-page app, and Postern in front of them. All of it on loopback, none of it kept.
import { parseArgs } from 'node:util';
import { randomBytes } from 'node:crypto';
import { startApi } from './api.ts';
import { freePortNear, isFree } from './ports.ts';
import { startPostern } from './postern.ts';
import { accessTokenSeconds, apiAudience, startProvider } from './provider.ts';

const usage = `npm run demo -- [options]

  --port N      Postern's port; without it 8080, or the next one that is free
  --redis URL   keep sessions in this Redis or Valkey; without it they live in Postern's memory
  --opaque      opaque access tokens, which the API has to introspect; without it JWTs
`;

const { port, redisUrl, opaque } = readArguments();
const publicUrl = `http://localhost:${port ?? (await freePortNear(8080))}`;
if (port !== undefined && !(await isFree(port))) fail(`port ${port} is taken`, 1);

// From here on a signal ends Postern first, and the rest with it.
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort());

const clientSecret = newSecret();
const apiSecret = newSecret();
const provider = await startProvider({ preferredPort: 4000, publicUrl, clientSecret, apiSecret, opaque });
const api = await startApi({
  preferredPort: 4100,
  issuer: provider.issuer,
  audience: apiAudience,
  clientId: 'orders-api',
  clientSecret: apiSecret,
});
const postern = await startPostern({
  publicUrl,
  issuer: provider.issuer,
  apiUrl: api.url,
  secrets: { DEMO_CLIENT_SECRET: clientSecret, DEMO_SESSION_KEY: randomBytes(32).toString('base64') },
  redisUrl,
  signal: stopping.signal,
});

void postern.ended.then((exitCode) => {
  provider.close();
  api.close();
  process.exitCode = exitCode;
});
if (postern.isReady) console.log(welcome());

function welcome(): string {
  return `
  The demo is running. Open

      ${publicUrl}

  1. Log in as alice or bob; any password will do.
  2. Call the API. It answers because Postern put an access token on the call. The page never has one.
  3. Wait ${accessTokenSeconds} seconds until the token has expired, and call again: it just works, with a new token.
  4. Look for a token in the browser's tools: storage, network, cookies. You find a cookie that scripts cannot read.
  5. Log out.

  Postern    ${publicUrl}   ${postern.configPath}
  provider   ${provider.issuer}   oidc-provider; ${opaque ? 'opaque tokens' : 'JWTs'} of ${accessTokenSeconds} s, rotating refresh tokens
  API        ${api.url}   curl -i ${api.url}/api/orders   says 401 to everybody without a token
  sessions   ${redisUrl === undefined ? "in Postern's memory" : 'in Redis'}

  Ctrl-C ends all of it.
`;
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: 'string' },
        redis: { type: 'string' },
        opaque: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    const isPort = values.port === undefined || (/^\d{1,5}$/.test(values.port) && Number(values.port) <= 65535);
    if (!isPort || values.port === '0') throw new Error(`--port ${values.port} is no port number`);
    return {
      port: values.port === undefined ? undefined : Number(values.port),
      redisUrl: values.redis,
      opaque: values.opaque,
    };
  } catch (error) {
    return fail(`${(error as Error).message}\n\n${usage}`, 64);
  }
}

function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

function fail(message: string, exitCode: number): never {
  console.error(`demo: ${message}`);
  process.exit(exitCode);
}
