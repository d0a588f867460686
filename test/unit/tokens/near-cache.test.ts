import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createNearCache } from '../../../src/tokens/near-cache.ts';
import type { OpenedSession } from '../../../src/tokens/opened-session.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

function opened(h: string): OpenedSession {
  const claims = { iss: 'https://id.example.test', sub: 'alice' };
  const now = Date.now();
  return {
    sessionId: `id of ${h}`,
    h,
    tokens: { accessToken: 'access', refreshToken: 'refresh', idToken: 'id', claims, scope: 'openid' },
    record: {
      revision: 1,
      expiresAt: now + 300_000,
      refreshedAt: now,
      retryAt: undefined,
      attempt: undefined,
      committedBy: undefined,
      absoluteExpiresAt: now + 3_600_000,
      endsAt: now + 3_600_000,
      idleMs: 600_000,
      clientId: 'shop',
      issuer: claims.iss,
      now,
      ttlMs: 600_000,
    },
    offsetMs: 0,
  };
}

test('tokens in clear that nobody asks for again are gone within six seconds, those in use stay', () => {
  const cache = createNearCache({
    store: { listening: () => true },
    maxEntries: 10,
    now: () => Date.now(),
    metrics: createMetrics(),
  });
  cache.keep(opened('idle'));
  jest.advanceTimersByTime(3_000);
  cache.keep(opened('used'));
  jest.advanceTimersByTime(3_000);
  expect(cache.forget('idle')).toBeUndefined();
  expect(cache.forget('used')?.h).toBe('used');
  cache.close();
  expect(jest.getTimerCount()).toBe(0);
});
