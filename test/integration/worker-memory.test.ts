// Several workers in one container: the memory that one process may use is shared among them.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parsePairs, readDockerfile, saidBy } from '../support/dockerfile.ts';
import { freePort } from '../support/free-port.ts';
import { baseConfig, startPosternProcess } from '../support/postern.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';

const provider = { issuer: 'http://localhost:9', clientId: 'shop', clientSecret: 'unused' };
// Each process says, before anything else, what Node allows it.
const saysItsHeap = `data:text/javascript,
  import { getHeapStatistics } from 'node:v8';
  console.log('heap ' + getHeapStatistics().heap_size_limit);`;
let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

/** Bytes: of the first process, then of its workers. */
async function heaps(workers: number, environment: Record<string, string>): Promise<number[]> {
  const config = baseConfig(await freePort(), provider, { workers, redis: { url: redis.url } });
  const postern = await startPosternProcess(config, ['--import', saysItsHeap], environment);
  await postern.stop();
  return postern.output.flatMap((line) => /^heap (\d+)$/.exec(line)?.slice(1) ?? []).map(Number);
}

test('with the options of the image, three workers together may use the heap that one process may', async () => {
  const { NODE_OPTIONS } = parsePairs(saidBy(readDockerfile().at(-1)!, 'ENV'));
  const [first, ...workers] = await heaps(3, { NODE_OPTIONS: NODE_OPTIONS! });
  expect(workers).toHaveLength(3);
  for (const heap of workers) {
    // Node adds some for young objects, the same for every process.
    expect(heap).toBeLessThan(first! / 2);
    expect(heap).toBeGreaterThan(first! / 4);
  }
});

test('a heap that is small already stays as it was set, with as many workers as there are', async () => {
  const [first, ...workers] = await heaps(2, { NODE_OPTIONS: '--max-old-space-size=100' });
  expect(workers).toEqual([first, first]);
});
