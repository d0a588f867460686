// Apache with mod_auth_openidc, a session signed in at a real provider and kept in Redis: the C module that people would take instead.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { freePort } from '../support/free-port.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { cookiesOf } from '../support/signed-in.ts';
import { until } from '../support/until.ts';
import type { Cpus } from './processes.ts';
import { onPath, startProcess } from './processes.ts';
import { fetchHeaders } from './variants.ts';
import type { Running } from './variants.ts';

// Where Debian's packages put them.
const moduleDirectory = '/usr/lib/apache2/modules';
const modules = {
  mpm_event_module: 'mod_mpm_event.so',
  authn_core_module: 'mod_authn_core.so',
  authz_core_module: 'mod_authz_core.so',
  authz_user_module: 'mod_authz_user.so',
  headers_module: 'mod_headers.so',
  proxy_module: 'mod_proxy.so',
  proxy_http_module: 'mod_proxy_http.so',
  auth_openidc_module: 'mod_auth_openidc.so',
};

export interface ApacheOptions {
  cpus: Cpus;
  provider: RealProvider;
  upstreamUrl: string;
  redisUrl: string;
}

/** Undefined where Apache or its module is not installed. */
export async function startApache(options: ApacheOptions): Promise<Running | undefined> {
  const apache = onPath('apache2');
  if (apache === undefined || !existsSync(join(moduleDirectory, modules.auth_openidc_module))) return undefined;
  const directory = await mkdtemp(join(tmpdir(), 'postern-bench-apache-'));
  // Its worker runs as somebody else.
  await chmod(directory, 0o777);
  const port = await freePort();
  const file = join(directory, 'apache.conf');
  await writeFile(file, configOf(options, { directory, port }));
  const child = startProcess(options.cpus, apache, ['-D', 'FOREGROUND', '-f', file]);
  const origin = `http://localhost:${port}`;
  options.provider.allowRedirectUri(`${origin}/oidc/callback`);
  const cookie = await logIn(origin, options.provider);
  return {
    variants: [
      {
        name: 'Apache, mod_auth_openidc',
        pid: child.pid,
        url: `http://127.0.0.1:${port}/api/x`,
        headers: { ...fetchHeaders, Host: new URL(origin).host, cookie },
        status: 200,
        bearer: true,
        usesRedis: true,
      },
    ],
    async stop() {
      await child.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function configOf(
  { provider, upstreamUrl, redisUrl }: ApacheOptions,
  { directory, port }: { directory: string; port: number },
): string {
  return [
    ...Object.entries(modules).map(([name, path]) => `LoadModule ${name} ${join(moduleDirectory, path)}`),
    `Listen 127.0.0.1:${port}`,
    'ServerName localhost',
    'User www-data',
    'Group www-data',
    `PidFile ${directory}/pid`,
    `DefaultRuntimeDir ${directory}`,
    `Mutex file:${directory}`,
    `ErrorLog ${directory}/error.log`,
    // One process with a thread for each connection, none of which is closed.
    'StartServers 1',
    'ServerLimit 1',
    'ThreadsPerChild 64',
    'MaxRequestWorkers 64',
    'MaxKeepAliveRequests 0',
    'KeepAliveTimeout 300',
    `OIDCProviderMetadataURL ${provider.issuer}/.well-known/openid-configuration`,
    `OIDCClientID ${provider.clientId}`,
    `OIDCClientSecret ${provider.clientSecret}`,
    `OIDCRedirectURI http://localhost:${port}/oidc/callback`,
    'OIDCCryptoPassphrase a-passphrase-for-a-measurement',
    'OIDCScope "openid profile email"',
    'OIDCPKCEMethod S256',
    'OIDCCacheType redis',
    `OIDCRedisCacheServer ${new URL(redisUrl).host}`,
    '<Location />',
    '  AuthType openid-connect',
    '  Require valid-user',
    '</Location>',
    '<Location /api>',
    `  ProxyPass ${upstreamUrl}/api`,
    '  RequestHeader set Authorization "Bearer %{OIDC_access_token}e"',
    '  RequestHeader unset Cookie',
    '</Location>',
  ].join('\n');
}

async function logIn(origin: string, provider: RealProvider): Promise<string> {
  const headers = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  let first: Awaited<ReturnType<typeof request>> | undefined;
  await until(async () => {
    first = await request(`${origin}/api/x`, { headers }).catch(() => undefined);
    await first?.body.dump();
    return first?.statusCode === 302;
  });
  const back = await provider.visit(String(first?.headers['location']), { user: 'alice' });
  const cookie = cookiesOf(first?.headers['set-cookie']).join('; ');
  const callback = await request(back, { headers: { ...headers, cookie } });
  await callback.body.dump();
  const session = cookiesOf(callback.headers['set-cookie']).find((pair) =>
    pair.startsWith('mod_auth_openidc_session='),
  );
  if (session === undefined) throw new Error(`mod_auth_openidc answered the callback with ${callback.statusCode}`);
  return session;
}
