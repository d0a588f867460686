// What is allowed and still worth a line at start and in `postern check`. A warning never stops anything.
import { notFor, outOfTime } from './certificate.ts';
import { isClusterInternal, isLoopback } from './network.ts';
import type { Path } from './problem.ts';
import { hasPassword } from './redis-rules.ts';
import type { Outside } from './read-secret.ts';
import { routeWarnings } from './route-warnings.ts';
import type { Finding } from './rule.ts';
import type { Config } from './schema.ts';
import { Secret } from './secret.ts';

/** Everything in a valid configuration that its operator should know. */
export function warningsFor(config: Config, outside: Pick<Outside, 'readFile' | 'now'>): Finding[] {
  return [
    ...writtenSecrets(config),
    ...insecureSwitches(config),
    ...unencryptedRedis(config),
    ...routeWarnings(config),
    ...trustInEverybody(config),
    ...oneReplica(config),
    ...doubtfulCertificate(config, outside),
  ];
}

function writtenSecrets(config: Config): Finding[] {
  const url = config.redis?.url;
  return writtenIn(config, [])
    .filter((path) => path.join('.') !== 'redis.url' || (url !== undefined && hasPassword(url)))
    .map((path) => ({
      path,
      message: 'the secret stands in this file; { file: /path } or { env: NAME } keeps it out of copies and commits',
    }));
}

function writtenIn(value: unknown, path: Path): Path[] {
  if (value instanceof Secret) return value.isWritten ? [path] : [];
  if (Array.isArray(value)) return value.flatMap((item, index) => writtenIn(item, [...path, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => writtenIn(child, [...path, key]));
}

const whatIsOff: Record<keyof Config['insecure'], string> = {
  httpIssuer: 'the provider may be on plain http: client secret and tokens can be read on the way',
  httpPublicUrl: 'publicUrl may be on plain http: cookies and authorization codes can be read on the way',
  publicClient: 'this client has no secret: a stolen authorization code or refresh token is worth more',
  weakKey: 'session keys may be short: cookies and stored tokens can be guessed',
};

function insecureSwitches({ insecure }: Config): Finding[] {
  return (Object.keys(whatIsOff) as (keyof typeof whatIsOff)[])
    .filter((name) => insecure[name])
    .map((name) => ({ path: ['insecure', name], message: `${whatIsOff[name]}; never in production` }));
}

// The tokens are sealed before they travel; who is signed in, and the password of Redis, are not (ASVS 12.3.1).
function unencryptedRedis({ redis }: Config): Finding[] {
  if (redis === undefined || redis.tls !== undefined) return [];
  const url = redis.url === undefined ? undefined : new URL(redis.url.reveal());
  if (url?.protocol === 'rediss:') return [];
  const nodes = redis.sentinel?.nodes ?? redis.cluster?.nodes ?? [];
  const hosts = url === undefined ? nodes.map(({ host }) => host) : [url.hostname];
  return hosts.filter(isFarAway).map((host) => ({
    path: ['redis'],
    message: `who is signed in travels unencrypted to ${host}; use rediss:// or redis.tls`,
  }));
}

function isFarAway(host: string): boolean {
  const url = new URL(`http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}`);
  return !isLoopback(url) && !isClusterInternal(url);
}

function trustInEverybody({ trustedProxies }: Config): Finding[] {
  return trustedProxies.flatMap((network, index) =>
    network.endsWith('/0')
      ? [{ path: ['trustedProxies', index], message: `${network} is everybody: any client may claim any address` }]
      : [],
  );
}

function oneReplica({ redis }: Config): Finding[] {
  if (redis !== undefined) return [];
  return [
    {
      path: ['redis'],
      message: 'missing, so sessions live in this process: one replica only, and a restart ends them',
    },
  ];
}

// No reason not to start: whoever does not check it is served meanwhile, and the file is taken over as soon as it is renewed.
function doubtfulCertificate(
  { tls, publicUrl }: Config,
  { readFile, now }: Pick<Outside, 'readFile' | 'now'>,
): Finding[] {
  if (tls === undefined) return [];
  const { file } = tls.cert;
  const cert = readFile(file);
  return [outOfTime(cert, now()), notFor(cert, new URL(publicUrl).hostname)]
    .filter((doubt) => doubt !== undefined)
    .map((doubt) => ({ path: ['tls', 'cert', 'file'], message: `${file} ${doubt}` }));
}
