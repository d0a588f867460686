// What Prometheus can make of the counters: whether an alert sees the very first refusal, and what several workers are added up to.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { EndReason } from '../../../src/store/store.ts';
import { createMetrics, expositionOf } from '../../../src/telemetry/metrics.ts';

const alerts = readFileSync(join(import.meta.dirname, '../../../helm/alerts/postern.yaml'), 'utf8');
const watched = Array.from(alerts.matchAll(/increase\((\w+)\{[^}]*outcome="([\w-]+)"\}/g), ([, name, outcome]) => ({
  name: name!,
  outcome: outcome!,
}));

test('there are alerts on the increase of one outcome', () => {
  expect(watched.length).toBeGreaterThanOrEqual(3);
});

test.each(watched)('$name counts $outcome from zero, so that an alert sees the first', async ({ name, outcome }) => {
  const text = await createMetrics().registry.metrics();
  expect(text).toContain(`${name}{outcome="${outcome}"} 0\n`);
});

const everyReason: Record<EndReason, true> = {
  logout: true,
  replaced: true,
  revoked: true,
  'back-channel': true,
  'front-channel': true,
  limit: true,
  admin: true,
};

test.each(Object.keys(everyReason))(
  'sessions that end by %s are counted from zero, so that none is missing in a sum',
  async (reason) => {
    expect(await createMetrics().registry.metrics()).toContain(`postern_logouts_total{reason="${reason}"} 0\n`);
  },
);

test('of several workers whose provider’s breaker is open, it reads 1', async () => {
  const workers = [createMetrics(), createMetrics(), createMetrics()];
  workers.forEach(({ breakerOpen }, number) => breakerOpen.set({ grant: 'refresh' }, number === 0 ? 0 : 1));
  const figures = await Promise.all(workers.map(({ registry }) => registry.getMetricsAsJSON()));
  expect(await expositionOf(figures)).toContain('postern_provider_breaker_open{grant="refresh"} 1\n');
});
