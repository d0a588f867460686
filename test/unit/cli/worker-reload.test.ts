// A worker that could not take a configuration over goes on trying.
import { afterEach, expect, jest, test } from '@jest/globals';
import { createWorkerReloads } from '../../../src/cli/worker-reload.ts';
import { createAudit } from '../../../src/telemetry/audit.ts';
import { createLogger } from '../../../src/telemetry/log.ts';

const retryMs = 30_000;

function start() {
  jest.useFakeTimers();
  const tried: string[] = [];
  const said: string[] = [];
  let problems: string[] = [];
  const log = createLogger({ level: 'info', format: 'json' } as never, { write: (line: string) => said.push(line) });
  const reloads = createWorkerReloads({
    takeOver(text) {
      tried.push(text);
      return problems;
    },
    retryMs,
    audit: createAudit({ log, handleOf: (h) => h }),
  });
  return { reloads, tried, said, meets: (given: string[]) => void (problems = given) };
}

afterEach(() => {
  jest.useRealTimers();
});

test('a text that a worker refuses is tried again until it is taken, and said once for each reason', () => {
  const { reloads, tried, said, meets } = start();
  meets(['ca.pem is missing']);
  reloads.follow('new');
  expect([reloads.state(), tried]).toEqual(['down', ['new']]);
  jest.advanceTimersByTime(2 * retryMs);
  expect([reloads.state(), tried]).toEqual(['down', ['new', 'new', 'new']]);
  expect(said).toHaveLength(1);
  meets(['ca.pem is no certificate']);
  jest.advanceTimersByTime(retryMs);
  expect(said).toHaveLength(2);
  meets([]);
  jest.advanceTimersByTime(retryMs);
  expect(reloads.state()).toBe('up');
  expect(tried).toHaveLength(5);
  jest.advanceTimersByTime(10 * retryMs);
  expect(tried).toHaveLength(5);
  reloads.close();
});

test('a text that was refused is forgotten when another one is taken', () => {
  const { reloads, tried, meets } = start();
  meets(['ca.pem is missing']);
  reloads.follow('new');
  meets([]);
  reloads.follow('newer');
  jest.advanceTimersByTime(10 * retryMs);
  expect([reloads.state(), tried]).toEqual(['up', ['new', 'newer']]);
  reloads.close();
});
