// Bodies larger than anybody should hold: they pass at the pace of the slower side, and memory does not grow with them (PRX-16).
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createCaller } from '../support/gate-call.ts';
import { signIn } from '../support/signed-in.ts';
import { bulk, digestOf, digestOfBulk } from '../soak/bulk.ts';
import { startHouse } from '../soak/house.ts';
import type { House } from '../soak/house.ts';
import { transfer, watchMemory } from '../soak/transfers.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { until } from '../support/until.ts';

const bytes = 200_000_000;
/** What the system's own socket buffers may hold on the way, and a little in each process. */
const onTheWay = 60_000_000;
const mostGrowthMb = 50;

let house: House;
let cookie: string;
const { call, open } = createCaller(() => ({
  address: house.postern.address,
  host: new URL(house.postern.publicUrl).host,
}));
const marks = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' };

beforeAll(async () => {
  house = await startHouse();
  cookie = (await signIn(house.postern, house.provider)).cookie;
  // The first megabytes make the process larger, once.
  for (const way of ['up', 'down'] as const) await transfer(house, way, bytes);
}, 180_000);
afterAll(() => house.close());

/** Waits until a count has stopped: 300 ms in which nothing is added. */
async function settled(count: () => number): Promise<number> {
  let last = count();
  let since = performance.now();
  await until(() => {
    if (count() !== last) [last, since] = [count(), performance.now()];
    return last > 0 && performance.now() - since > 300;
  });
  return last;
}

test('a client that does not read makes the upstream wait, and gets every byte once it reads (PRX-16)', async () => {
  const { api, postern } = house;
  await house.read();
  const memory = watchMemory(postern.pid);
  api.moved.sent = 0;
  const response = await open(`/api/bulk?bytes=${bytes}`, { headers: { ...marks, cookie } });
  expect(await settled(() => api.moved.sent)).toBeLessThan(onTheWay);
  expect(await digestOf(response)).toBe(digestOfBulk(bytes));
  expect(api.moved.sent).toBe(bytes);
  expect(memory.stop()).toBeLessThan(mostGrowthMb);
});

test('an upstream that does not read makes the client wait, and gets every byte once it reads (PRX-16)', async () => {
  const { api, postern } = house;
  await house.read();
  const memory = watchMemory(postern.pid);
  const held = api.hold();
  let taken = 0;
  const answer = call('/api/bulk', { cookie, method: 'PUT', stream: bulk(bytes, (soFar) => (taken = soFar)) });
  expect(await settled(() => taken)).toBeLessThan(onTheWay);
  held.release();
  expect(await answer).toMatchObject({ status: 200, body: digestOfBulk(bytes) });
  expect(memory.stop()).toBeLessThan(mostGrowthMb);
});

test('a client that leaves in the middle of an upload or a download ends it at the upstream within a second (PRX-16, PX-09)', async () => {
  const { api } = house;
  const gone = async (): Promise<void> => {
    const watch = startStopwatch();
    await until(() => api.underWay() === 0);
    expect(watch.elapsedMs()).toBeLessThan(1_000);
    watch.stop();
  };
  await until(() => api.underWay() === 0);
  const download = await open(`/api/bulk?bytes=${bytes}`, { headers: { ...marks, cookie } });
  await once(download, 'data');
  expect(api.underWay()).toBe(1);
  download.on('error', () => undefined).destroy();
  await gone();

  const leaving = new AbortController();
  const before = api.moved.received;
  const upload = call('/api/bulk', { cookie, method: 'PUT', stream: bulk(bytes), signal: leaving.signal });
  await until(() => api.moved.received > before);
  expect(api.underWay()).toBe(1);
  leaving.abort();
  await expect(upload).rejects.toThrow(/abort/);
  await gone();
});
