// The second try of a refresh whose first was sent and got no answer: what is not known of the first is not known afterwards either.
import { expect, test } from '@jest/globals';
import type { RefreshOutcome } from '../../src/oidc/provider.ts';
import { startGate } from '../support/gate.ts';

test('a second try that reaches nobody does not make the first unsent: the attempt stands, and whoever comes after its deadline takes over (TK-08)', async () => {
  let clock = 1_750_000_000_000;
  const unavailable = { kind: 'unavailable', answered: false, retryAfterMs: undefined, cause: undefined } as const;
  const tries: RefreshOutcome[] = [
    { ...unavailable, sent: true },
    { ...unavailable, sent: false },
  ];
  const gate = await startGate(
    { routes: [{ path: '/api', upstream: 'http://127.0.0.1:9' }] },
    {
      now: () => clock,
      refreshTokens: (tokens) => {
        const refreshed = { ...tokens, expiresInMs: 3_600_000, refreshExpiresInMs: undefined };
        return Promise.resolve(tries.shift() ?? { kind: 'refreshed', tokens: refreshed, unverifiedIdToken: undefined });
      },
    },
  );
  try {
    const cookie = await gate.signIn();
    clock += 10_000;
    await gate.refresh(cookie);
    expect(tries).toEqual([]);
    clock += 26_000;
    await gate.refresh(cookie);
    expect(await gate.metric('postern_token_refresh_takeovers_total')).toEqual([
      'postern_token_refresh_takeovers_total 1',
    ]);
  } finally {
    await gate.stop();
  }
});
