// One large body through Postern, watched from outside: whether it arrives whole, and how much memory the process takes meanwhile.
import { readFileSync } from 'node:fs';
import { createCaller } from '../support/gate-call.ts';
import { signIn } from '../support/signed-in.ts';
import { bulk, digestOf, digestOfBulk } from './bulk.ts';
import type { House } from './house.ts';

export interface Transfer {
  bytes: number;
  isWhole: boolean;
  seconds: number;
  /** The most that the process's memory grew, in MB, no garbage collection asked for. */
  grownMb: number;
}

/** Uploads (PUT) or downloads (GET) so many bytes with a session of their own. */
export async function transfer(house: House, direction: 'up' | 'down', bytes: number): Promise<Transfer> {
  const { postern, provider } = house;
  const caller = createCaller(() => ({ address: postern.address, host: new URL(postern.publicUrl).host }));
  const { cookie } = await signIn(postern, provider);
  await house.read();
  const memory = watchMemory(postern.pid);
  const startedAt = performance.now();
  const headers = { cookie, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' };
  const digest =
    direction === 'up'
      ? (await caller.call('/api/bulk', { cookie, method: 'PUT', stream: bulk(bytes) })).body
      : await digestOf(await caller.open(`/api/bulk?bytes=${bytes}`, { headers }));
  const seconds = (performance.now() - startedAt) / 1000;
  return { bytes, isWhole: digest === digestOfBulk(bytes), seconds, grownMb: memory.stop() };
}

/** Looks every 20 ms; `stop` gives the most that it has grown since, in MB. Linux only. */
export function watchMemory(pid: number): { grownMb(): number; stop(): number } {
  const before = rssBytes(pid);
  let most = before;
  const look = (): number => (most = Math.max(most, rssBytes(pid)));
  const timer = setInterval(look, 20);
  const grownMb = (): number => (look() - before) / 1e6;
  return {
    grownMb,
    stop() {
      clearInterval(timer);
      return grownMb();
    },
  };
}

function rssBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
