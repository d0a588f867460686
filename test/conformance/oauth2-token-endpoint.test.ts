// RFC 6749 sections 5 and 6, RFC 6750: what the token endpoint answers at a login and at a refresh, and what that means for the session.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Fault } from '../support/endpoint.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { connectTo, logIn, tokensOf } from '../support/provider-under-test.ts';
import type { Provider, RefreshOutcome } from '../../src/oidc/provider.ts';
import type { TokenSet } from '../../src/oidc/token-set.ts';

let op: MisbehavingProvider;
let provider: Provider;
let logLines: string[];

beforeEach(async () => {
  op = await startMisbehavingProvider();
  logLines = [];
  provider = connectTo(op, { logLines });
});
afterEach(async () => {
  await provider.close();
  await op.close();
});

const refresh = (tokens: TokenSet): Promise<RefreshOutcome> => provider.refresh(tokens, AbortSignal.timeout(20_000));
const signIn = async (): Promise<TokenSet> => tokensOf((await logIn(provider, op.authorize)).outcome);

describe('the token response at login', () => {
  test.each([['bearer'], ['BEARER'], ['bEARER']])('may spell its type %s (OA-13)', async (token_type) => {
    op.does.tokenResponse = { token_type };
    await signIn();
  });

  test.each([['mac'], [undefined], [7]])('of type %j signs nobody in (OA-13)', async (token_type) => {
    op.does.tokenResponse = { token_type };
    expect((await logIn(provider, op.authorize)).outcome.kind).toBe('invalid');
    expect(op.endpoints.seen('userinfo')).toEqual([]);
  });

  test.each([['two\r\nlines'], ['naïve'], ['tab\t'], ['']])(
    'with the access token %j, which fits in no header, signs nobody in, and no refresh ends by it',
    async (access_token) => {
      const tokens = await signIn();
      op.does.tokenResponse = { access_token };
      expect((await logIn(provider, op.authorize)).outcome.kind).toBe('invalid');
      op.does.refreshResponse = { access_token };
      expect((await refresh(tokens)).kind).toBe('unavailable');
    },
  );

  test.each([[undefined], [null], ['abc'], [-5], [{}], ['Infinity']])(
    'with expires_in %j means that the lifetime is not known (OA-14)',
    async (expires_in) => {
      op.does.tokenResponse = { expires_in };
      expect((await signIn()).expiresInMs).toBeUndefined();
    },
  );

  test.each([
    ['300', 300_000],
    [0, 0],
    [1e300, 31_536_000_000],
  ])('with expires_in %j gives at most %d ms', async (expires_in, ms) => {
    op.does.tokenResponse = { expires_in };
    const { expiresInMs } = await signIn();
    expect(expiresInMs).toBeLessThanOrEqual(ms);
    expect(expiresInMs).toBeGreaterThanOrEqual(Math.max(0, ms - 20_000));
  });

  test('counts the lifetime from the sending of the request: a slow answer does not lengthen it', async () => {
    let now = Date.now();
    const slow = connectTo(op, { now: () => (now += 1_000) });
    const { expiresInMs } = tokensOf((await logIn(slow, op.authorize)).outcome);
    expect(expiresInMs).toBeLessThanOrEqual(299_000);
    await slow.close();
  });

  test('may hold members that nobody knows, and nulls (OA-15)', async () => {
    op.does.tokenResponse = { 'not-before-policy': 0, x: { y: [] }, refresh_token: null, scope: null };
    expect(await signIn()).toMatchObject({ refreshToken: undefined, scope: 'openid profile email' });
  });

  test('with a narrower scope says so (OA-16)', async () => {
    op.does.tokenResponse = { scope: 'openid' };
    expect((await signIn()).scope).toBe('openid');
  });

  test('with refresh_expires_in tells how long the refresh token lives', async () => {
    op.does.tokenResponse = { refresh_expires_in: 1_800 };
    expect((await signIn()).refreshExpiresInMs).toBe(1_800_000);
    op.does.tokenResponse = { refresh_expires_in: 0 };
    expect((await signIn()).refreshExpiresInMs).toBeUndefined();
  });

  test.each<[string, Fault]>([
    ['a page', 'html'],
    ['5 MB', 'oversized'],
    ['half of it', 'truncated'],
    ['503', 'unavailable'],
    ['429', 'too-many-requests'],
    ['a cut connection', 'reset'],
    ['a redirect', 'redirect'],
  ])('that is %s makes the login unavailable (OA-15, FL-17)', async (_name, fault) => {
    op.endpoints.behaviours.token.fail(fault);
    expect((await logIn(provider, op.authorize)).outcome.kind).toBe('unavailable');
  });

  test.each([['[]'], ['null'], ['"x"'], ['{"a":'], ['['.repeat(50_000)]])(
    'of %.10j is a clean outcome (FL-17)',
    async (text) => {
      op.does.body = { token: { text } };
      expect((await logIn(provider, op.authorize)).outcome.kind).toBe('unavailable');
    },
  );

  test('of any content is never in what is thrown or logged (LOGS-01, TK-02)', async () => {
    const secret = 'CANARY';
    const outcomes: unknown[] = [];
    for (const text of [
      secret,
      `{"access_token":"${secret}"`,
      `{"access_token":"${secret}","token_type":"${secret}"}`,
    ]) {
      op.does.body = { token: { text }, userinfo: { text } };
      outcomes.push((await logIn(provider, op.authorize)).outcome);
    }
    op.does.body = { userinfo: { text: secret } };
    op.does.authorizationResponse = { state: secret };
    outcomes.push((await logIn(provider, op.authorize)).outcome);
    const causes = outcomes.map((outcome) => (outcome as { cause: Error }).cause);
    expect(causes.every((cause) => cause.cause === undefined)).toBe(true);
    const told = causes.map((cause) => `${cause.stack ?? ''} ${JSON.stringify(Object.entries(cause))}`);
    expect(told.join()).not.toContain(secret);
    expect(logLines.join()).not.toContain(secret);
  });
});

describe('the answer to a refresh', () => {
  test.each([['invalid_grant'], ['interaction_required'], ['login_required'], ['consent_required']])(
    '%s ends the session (TK-07)',
    async (error) => {
      const tokens = await signIn();
      op.endpoints.behaviours.token.fail({ error });
      expect(await refresh(tokens)).toEqual({ kind: 'ended', error });
    },
  );

  test.each([[{ 'content-type': 'text/plain' }], [{ 'www-authenticate': 'Basic realm="token"' }]])(
    'is understood with the headers %j, too: a session that is over must not hang about',
    async (headers) => {
      const tokens = await signIn();
      op.endpoints.behaviours.token.fail({ error: 'invalid_grant', headers });
      expect(await refresh(tokens)).toEqual({ kind: 'ended', error: 'invalid_grant' });
    },
  );

  test.each([
    ['invalid_client', 401],
    ['unauthorized_client', 400],
    ['invalid_request', 400],
    ['invalid_scope', 400],
    ['unsupported_grant_type', 400],
    ['something_new', 403],
  ])('%s (%d) is our configuration’s fault: nobody is logged out (TK-07)', async (error, status) => {
    const tokens = await signIn();
    op.endpoints.behaviours.token.fail({ error, status }, 1);
    expect(await refresh(tokens)).toMatchObject({ kind: 'misconfigured', cause: { code: error } });
    expect((await refresh(tokens)).kind).toBe('refreshed');
  });

  test.each<[Fault, { sent: boolean; answered: boolean; retryAfterMs?: number }]>([
    ['unavailable', { sent: true, answered: true, retryAfterMs: 7_000 }],
    ['too-many-requests', { sent: true, answered: true, retryAfterMs: 7_000 }],
    ['html', { sent: true, answered: true }],
    ['oversized', { sent: true, answered: true }],
    ['redirect', { sent: true, answered: true }],
    ['truncated', { sent: true, answered: false }],
    ['reset', { sent: true, answered: false }],
    ['lose-answer', { sent: true, answered: false }],
  ])('%s leaves the session as it is, and says how far the request came (TK-07)', async (fault, expected) => {
    const tokens = await signIn();
    op.endpoints.behaviours.token.fail(fault, 1);
    expect(await refresh(tokens)).toMatchObject({ kind: 'unavailable', ...expected });
    expect((await refresh(tokens)).kind).toBe('refreshed');
  });

  test.each([[{ token_type: 'mac' }], [{ access_token: undefined }], [{ access_token: 7 }], [{ refresh_token: 7 }]])(
    'with %j in it is no answer that could be used (OA-13)',
    async (refreshResponse) => {
      const tokens = await signIn();
      op.does.refreshResponse = refreshResponse;
      expect(await refresh(tokens)).toMatchObject({ kind: 'unavailable', sent: true, answered: true });
    },
  );

  test('without a refresh token keeps the old one (OA-17)', async () => {
    const tokens = await signIn();
    op.does.refreshResponse = { refresh_token: undefined };
    expect(await refresh(tokens)).toMatchObject({ kind: 'refreshed', tokens: { refreshToken: tokens.refreshToken } });
  });

  test('never widens the scope (OA-17)', async () => {
    const tokens = await signIn();
    op.does.refreshResponse = { scope: 'openid admin email' };
    expect(await refresh(tokens)).toMatchObject({ kind: 'refreshed', tokens: { scope: 'openid email' } });
  });

  test('a session without a refresh token makes no call', async () => {
    const tokens = await signIn();
    expect(await refresh({ ...tokens, refreshToken: undefined })).toEqual({ kind: 'ended', error: 'no_refresh_token' });
    expect(op.endpoints.seen('token', 'refresh_token')).toEqual([]);
  });
});

test('tokens travel in the Authorization header or a form, never in a URL (OA-19, OA-12)', async () => {
  const tokens = await signIn();
  await refresh(tokens);
  await provider.revoke(tokens.refreshToken!);
  expect(op.endpoints.seen('userinfo')[0]!.authorization).toBe(`Bearer ${tokens.accessToken}`);
  expect(op.endpoints.requests.every(({ query }) => query === '')).toBe(true);
});
