import { expect, test } from '@jest/globals';
import { CircuitBreaker } from '../../../src/oidc/breaker.ts';

function breakerAt(clock: { ms: number }, failures: number): CircuitBreaker {
  const breaker = new CircuitBreaker(() => clock.ms);
  for (let n = 0; n < failures; n += 1) breaker.failed();
  return breaker;
}

test('four failures in a row leave it closed, the fifth opens it', () => {
  const clock = { ms: 0 };
  const breaker = breakerAt(clock, 4);
  expect(breaker.mayCall()).toBe(true);
  breaker.failed();
  expect(breaker.mayCall()).toBe(false);
});

test('one answer in between starts the count again', () => {
  const breaker = breakerAt({ ms: 0 }, 4);
  breaker.succeeded();
  breaker.failed();
  expect(breaker.mayCall()).toBe(true);
});

test('after 10 s one caller tries, and only one', () => {
  const clock = { ms: 0 };
  const breaker = breakerAt(clock, 5);
  clock.ms = 9_999;
  expect(breaker.mayCall()).toBe(false);
  clock.ms = 10_000;
  expect([breaker.mayCall(), breaker.mayCall(), breaker.mayCall()]).toEqual([true, false, false]);
});

test('a trial that succeeds closes it; one that fails keeps it open for 10 s more', () => {
  const clock = { ms: 0 };
  const breaker = breakerAt(clock, 5);
  clock.ms = 10_000;
  breaker.mayCall();
  breaker.failed();
  clock.ms = 19_999;
  expect(breaker.mayCall()).toBe(false);
  clock.ms = 20_000;
  expect(breaker.mayCall()).toBe(true);
  breaker.succeeded();
  expect([breaker.mayCall(), breaker.mayCall()]).toEqual([true, true]);
});
