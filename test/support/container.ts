// Runs an image's file tree as a container runtime would, as far as this machine lets us: as the image's user, process 1 of a namespace of its
// own, on a read-only root.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Image } from './image.ts';
import { until } from './until.ts';

export interface Container {
  /** As this machine counts; 1 inside. */
  pid: number;
  /** Every line it has printed. */
  output: string[];
  /** null after a signal that ended it. */
  exitCode: Promise<number | null>;
  hasEnded(): boolean;
}

/**
 * Whether there is a wall around the process: root on Linux can build one. For everybody else the same command runs in the same tree with the
 * machine's libraries, as the user who runs the tests: what it writes into the tree can then be noticed, but is not prevented.
 */
export const isWalled =
  process.getuid?.() === 0 && spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status === 0;

/** Where a path of the image is for a process in it. */
export function inside(image: Image, path: string): string {
  return isWalled ? path : join(image.root, path);
}

/** Puts a file where a container would have it mounted. */
export async function mount(image: Image, path: string, text: string): Promise<void> {
  const place = join(image.root, path);
  await mkdir(dirname(place), { recursive: true });
  await writeFile(place, text);
}

/** Starts a command of the image. */
export async function startContainer(image: Image, [program = '', ...args]: string[]): Promise<Container> {
  const { root, workingDirectory, user, group } = image;
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...image.environment };
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  const walls = ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-ec', enter, 'sh'];
  const child = isWalled
    ? spawn('unshare', [...walls, root, workingDirectory, `${user}`, `${group}`, program, ...args], { env, stdio })
    : spawn(join(root, 'usr/local/bin', program), args, {
        cwd: join(root, workingDirectory),
        env,
        stdio,
        ...(process.getuid?.() === 0 ? { uid: user, gid: group } : {}),
      });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => void output.push(line));
  }
  const exitCode = once(child, 'close').then(([code]) => code as number | null);
  return {
    pid: isWalled ? await childOf(child.pid!) : child.pid!,
    output,
    exitCode,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
  };
}

// Each step becomes the next one, so that the image's own process is number 1 and gets the signals.
const enter = `
  root=$1 directory=$2 user=$3 group=$4
  shift 4
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount -o remount,bind,ro "$root"
  exec setpriv --clear-groups unshare --root="$root" --wd="$directory" --setgid="$group" --setuid="$user" "$@"`;

async function childOf(pid: number): Promise<number> {
  let child = '';
  await until(async () => {
    child = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => 'none');
    return child !== '';
  });
  return Number.parseInt(child, 10);
}
