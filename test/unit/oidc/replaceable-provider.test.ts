// What operators read of the provider's breakers is what holds for the client in force, however often it was replaced.
import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { createProviderObserver } from '../../../src/oidc/observed-provider.ts';
import type { Provider } from '../../../src/oidc/provider.ts';
import { createReplaceableProvider } from '../../../src/oidc/replaceable-provider.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';

function start() {
  const metrics = createMetrics();
  const gauge = async () =>
    (await metrics.breakerOpen.get()).values.find(({ labels }) => labels.grant === 'refresh')?.value;
  const createClient = (isReady: () => boolean) => {
    const observer = createProviderObserver({ metrics, log: pino({ enabled: false }) });
    // As its breaker says at once.
    observer.breaker('refresh', false);
    const client = { ready: isReady, close: () => Promise.resolve() } as Provider;
    return { observer, client: { ...client, inForce: observer.inForce } };
  };
  return { gauge, createClient };
}

test('a client that was replaced says no more whether its breaker is open', async () => {
  const { gauge, createClient } = start();
  const [first, second] = [createClient(() => true), createClient(() => true)];
  const provider = createReplaceableProvider(first.client);
  first.observer.breaker('refresh', true);
  expect(await gauge()).toBe(1);
  provider.replaceBy(second.client);
  provider.ready();
  expect(await gauge()).toBe(0);
  first.observer.breaker('refresh', true);
  expect(await gauge()).toBe(0);
  second.observer.breaker('refresh', true);
  expect(await gauge()).toBe(1);
  await provider.close();
});

test('while a new client has no metadata yet, the breaker of the former one is what counts', async () => {
  const { gauge, createClient } = start();
  let isThere = false;
  const [first, second] = [createClient(() => true), createClient(() => isThere)];
  const provider = createReplaceableProvider(first.client);
  first.observer.breaker('refresh', true);
  provider.replaceBy(second.client);
  provider.ready();
  expect(await gauge()).toBe(1);
  isThere = true;
  provider.ready();
  expect(await gauge()).toBe(0);
  await provider.close();
});
