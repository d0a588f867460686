// Installs what package-lock.json asks for, when it is not what node_modules holds, and finds the Node that the jobs run on.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, root, runNpm } from './process.js';

/** Runs `npm ci` unless node_modules already is what package-lock.json describes. */
export async function installDependencies() {
  const wanted = readPackages(join(root, 'package-lock.json'));
  if (wanted === undefined) throw new Failure('package-lock.json is missing or not JSON: is this a complete clone?');
  // npm writes this file as its last step, so an installation that was cut short does not pass.
  const installed = readPackages(join(root, 'node_modules/.package-lock.json'));
  if (installed !== undefined && isInstalled(wanted, installed)) return;
  console.log('installing dependencies (npm ci)');
  await runNpm(['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

/** Whether every package is there in the wanted version. Optional ones may be missing: they are for other platforms. */
export function isInstalled(wanted, installed) {
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed[path];
    if (found === undefined) return entry.optional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

/**
 * The `node` to run Postern and its tests on: the one that the "node" dev dependency brought, else the one we run on.
 *
 * @throws Failure when that one is too old
 */
export function nodeBinary() {
  const own = join(root, 'node_modules/node/bin/node');
  if (existsSync(own)) return own;
  if (isSupported(process.versions.node)) return process.execPath;
  throw new Failure(
    `Node ${process.versions.node} is too old, and the "node" package brought none for this platform; install one that fits ${engines()}`,
  );
}

/** Whether a version such as `24.21.0` fits a range such as `^24.18.1 || >=26.5.1`; package.json's "engines" unless given. */
export function isSupported(version, range = engines()) {
  const [major, minor, patch] = version.split('.').map(Number);
  return range.split('||').some((part) => {
    const [, operator, ...numbers] = /^(\^|>=)(\d+)\.(\d+)\.(\d+)$/.exec(part.trim()) ?? [];
    const [oldestMajor, oldestMinor, oldestPatch] = numbers.map(Number);
    if (major !== oldestMajor) return operator === '>=' && major > oldestMajor;
    return minor > oldestMinor || (minor === oldestMinor && patch >= oldestPatch);
  });
}

function engines() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node;
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}
