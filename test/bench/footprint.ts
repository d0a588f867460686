// `npm run bench -- --footprint`: what a container of Postern takes before anybody has come: the size of the image's tree, the time to be
// ready, the memory at rest. The tree is made from the Dockerfile; docs/operations.md says what to make of the figures.
import { lstatSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../support/free-port.ts';
import { buildImage } from '../support/image.ts';
import type { Image } from '../support/image.ts';
import type { ConfigInput } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import { RecordingUpstream } from '../support/upstream.ts';
import { benchConfig, startPosternChild } from './postern.ts';
import { median } from './statistics.ts';

export interface FootprintExtent {
  /** With each store. */
  starts: number;
  restSeconds: number;
}

/** Measures, prints, and ends whatever it started. */
export async function measureFootprint(extent: FootprintExtent): Promise<void> {
  const image = await buildImage();
  await using redis = await startRedis();
  const [provider, api] = await Promise.all([startRealProvider(), RecordingUpstream.start()]);
  try {
    printTree(image);
    for (const [store, overrides] of [
      ['memory', {}],
      ['Redis', { redis: { url: redis.url } }],
    ] as const) {
      const newConfig = async () => benchConfig(await freePort(), provider, api.url, overrides);
      const { readyAfterMs, residentBytes, anonymousBytes } = await measureStarts(image, newConfig, extent);
      print(`sessions in ${store}: ready after`, `${readyAfterMs.toFixed(0)} ms`);
      print(`sessions in ${store}: resident at rest`, megabytes(residentBytes));
      print('  without pages of files', megabytes(anonymousBytes));
    }
  } finally {
    await Promise.all([provider.close(), api.stop(), image.remove()]);
  }
}

function printTree(image: Image): void {
  const parts = { Node: 'usr/local/bin', 'production dependencies': 'app/node_modules', 'the program': 'app/dist' };
  const sizes = Object.entries(parts).map(([name, path]) => [name, sizeOf(join(image.root, path))] as const);
  for (const [name, bytes] of sizes) print(name, megabytes(bytes));
  print('together, on top of the base image', megabytes(sizes.reduce((sum, [, bytes]) => sum + bytes, 0)));
}

async function measureStarts(image: Image, newConfig: () => Promise<ConfigInput>, extent: FootprintExtent) {
  // Children inherit it.
  Object.assign(process.env, image.environment);
  const build = { main: join(image.root, 'app/dist/main.js'), directory: image.root, remove: () => image.remove() };
  const spansMs: number[] = [];
  const resident: number[] = [];
  const anonymous: number[] = [];
  for (let start = 0; start < extent.starts; start += 1) {
    const postern = await startPosternChild(undefined, build, await newConfig());
    await pause(extent.restSeconds * 1_000);
    spansMs.push(postern.readyAfterMs);
    resident.push(statusBytes(postern.pid, 'VmRSS'));
    anonymous.push(statusBytes(postern.pid, 'RssAnon'));
    await postern.stop();
  }
  return {
    readyAfterMs: median(spansMs),
    residentBytes: median(resident),
    anonymousBytes: median(anonymous),
  };
}

function statusBytes(pid: number, field: 'VmRSS' | 'RssAnon'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return 1024 * Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, 'm').exec(status)![1]);
}

function sizeOf(folder: string): number {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => lstatSync(join(folder, path)));
  return paths.filter((path) => path.isFile()).reduce((sum, { size }) => sum + size, 0);
}

function print(what: string, figure: string): void {
  console.log(`${what.padEnd(40)} ${figure.padStart(10)}`);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
