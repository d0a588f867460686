// What the tests need of the machine and npm cannot bring: a Redis server, a Chromium, nginx, Caddy and HAProxy. Root on Debian and Ubuntu
// gets them installed; everybody else is told what to install. They are never skipped silently.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Failure } from './process.js';

/** Programs that were built or fetched for the tests, outside the clone: the next run finds them. */
export const binFolder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'postern', 'bin');

/** @throws Failure when there is no redis-server on the PATH and none can be installed */
export function needRedis() {
  need({
    what: 'a Redis server (redis-server on the PATH)',
    find: () => onPath('redis-server'),
    aptPackage: 'redis-server',
    elsewhere: 'macOS: brew install redis; Fedora: dnf install redis; Alpine: apk add redis',
  });
}

/** @throws Failure when there is no Chromium and none can be installed */
export function needBrowser() {
  need({
    what: 'Chromium (on the PATH, or its path in POSTERN_CHROMIUM)',
    find: findChromium,
    aptPackage: 'chromium',
    elsewhere: 'or Google Chrome; for any other place set POSTERN_CHROMIUM=/path/to/chromium',
  });
}

/** @throws Failure when a gateway that Postern is tested behind is not there and cannot be installed */
export function needGateways() {
  for (const program of ['nginx', 'caddy', 'haproxy']) {
    need({
      what: `${program} (on the PATH)`,
      find: () =>
        onPath(program) ?? ['/usr/sbin', '/usr/bin'].map((folder) => join(folder, program)).find(isExecutable),
      aptPackage: program,
      elsewhere: `macOS: brew install ${program}; Fedora: dnf install ${program}`,
    });
  }
}

/** The path of a Chromium, or undefined. A path in POSTERN_CHROMIUM wins, and must be right. */
export function findChromium() {
  const told = process.env.POSTERN_CHROMIUM;
  if (told !== undefined && told !== '') {
    if (isExecutable(told)) return told;
    throw new Failure(`POSTERN_CHROMIUM is ${told}, which is no program that can be run`);
  }
  return ['chromium', 'chromium-browser', 'google-chrome'].map(onPath).find((path) => path !== undefined);
}

function need({ what, find, aptPackage, elsewhere }) {
  if (find() !== undefined) return;
  if (canInstall()) {
    console.log(`installing ${aptPackage} (apt-get)`);
    aptGet('update', '-qq');
    aptGet('install', '-y', '-qq', '--no-install-recommends', aptPackage);
    if (find() !== undefined) return;
  }
  throw new Failure(
    `the tests need ${what}, and it is not there.\n  Debian, Ubuntu: apt-get install ${aptPackage}; ${elsewhere}`,
  );
}

function canInstall() {
  return (
    process.getuid?.() === 0 && onPath('apt-get') !== undefined && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(osRelease())
  );
}

function osRelease() {
  try {
    return readFileSync('/etc/os-release', 'utf8');
  } catch {
    return '';
  }
}

// RUNLEVEL=1 keeps Debian from starting the service it has just installed: the tests start servers of their own.
function aptGet(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env });
}

/** The path of a program on the PATH, or undefined. */
export function onPath(program) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

export function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
