// Keycloak's distribution from Maven Central, once: checked, unpacked and started for the first time, which builds it and makes its database. Kept in
// the user's cache; tests run copies of it.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { binFolder, isExecutable, onPath } from './machine.js';
import { Failure } from './process.js';

/** The one of examples/compose. */
export const keycloakVersion = '26.7.3';
const sha256 = '77657f30b7e90d70f727712ce1c967f430fd6a5e9f458d32d8c6df0635345f47';
const archive = `keycloak-quarkus-dist-${keycloakVersion}.tar.gz`;
const address = `https://repo1.maven.org/maven2/org/keycloak/keycloak-quarkus-dist/${keycloakVersion}/${archive}`;
const oldestJava = 17;

/** Where a Java is that Keycloak runs on, or undefined: in JAVA_HOME, where kc.sh looks first, else on the PATH. */
export function findJava() {
  const home = process.env.JAVA_HOME ?? '';
  const java = home === '' ? onPath('java') : [join(home, 'bin/java')].find(isExecutable);
  if (java === undefined) return undefined;
  const { stderr } = spawnSync(java, ['-version'], { encoding: 'utf8' });
  return Number(/version "(\d+)/.exec(stderr ?? '')?.[1]) >= oldestJava ? java : undefined;
}

/**
 * A Keycloak that has been started once: its database holds the realm `master` and the administrator `admin`, password `admin`.
 *
 * @returns its folder, which is to be copied and not started
 * @throws Failure when it cannot be had
 */
export async function prepareKeycloak() {
  const kept = join(binFolder, `keycloak-${keycloakVersion}`);
  if (existsSync(kept)) return kept;
  mkdirSync(binFolder, { recursive: true });
  console.log(`fetching Keycloak ${keycloakVersion} (170 MB) and starting it for the first time: some minutes, once`);
  // What is cut short leaves nothing under the final name.
  const folder = mkdtempSync(join(binFolder, 'fetch-'));
  try {
    await download(join(folder, archive));
    const { status } = spawnSync('tar', ['-xzf', archive], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
    if (status !== 0) throw new Failure(`tar cannot unpack ${archive}`);
    const unpacked = join(folder, `keycloak-${keycloakVersion}`);
    await startOnce(unpacked);
    renameSync(unpacked, kept);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return kept;
}

async function download(file) {
  const response = await fetch(address).catch(({ cause }) => {
    throw new Failure(`${address} cannot be reached (${cause?.code ?? 'unknown'})`);
  });
  if (!response.ok) throw new Failure(`${address} answers ${response.status}`);
  await pipeline(Readable.fromWeb(response.body), createWriteStream(file));
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  if (hash.digest('hex') !== sha256)
    throw new Failure(`what ${address} answers is not the file with SHA-256 ${sha256}`);
}

async function startOnce(folder) {
  const { server, listening } = startKeycloak(folder, {
    KC_BOOTSTRAP_ADMIN_USERNAME: 'admin',
    KC_BOOTSTRAP_ADMIN_PASSWORD: 'admin',
  });
  const ended = new Promise((resolve) => server.once('close', resolve));
  await listening.catch((error) => {
    throw new Failure(error.message);
  });
  server.kill('SIGTERM');
  await ended;
}

/**
 * Starts the Keycloak in a folder, on loopback only, on a port of the system's choosing unless KC_HTTP_PORT says which. SIGTERM to `server` ends it.
 *
 * @returns the process; `listening` is resolved with the origin where it listens, rejected with its output when it ends before
 */
export function startKeycloak(folder, environment, options = []) {
  const server = spawn(join(folder, 'bin/kc.sh'), ['start-dev', ...options], {
    env: {
      ...process.env,
      JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m',
      // It lives too short for what the second compiler costs.
      JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1',
      KC_HTTP_HOST: '127.0.0.1',
      KC_HTTP_PORT: '0',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = [];
  const listening = new Promise((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        output.push(line);
        const origin = /Listening on: (http:\S+)/.exec(line)?.[1];
        if (origin !== undefined) resolve(origin);
      });
    }
    server.once('error', reject);
    server.once('close', () => reject(new Error(`Keycloak ended before it listened:\n${output.join('\n')}`)));
  });
  return { server, listening };
}
