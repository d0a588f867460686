// RFC 6749, RFC 7636, RFC 9207 and RFC 9700: authorization request and response, token requests and responses.
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Fault } from '../support/endpoint.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { Misbehaviour, MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { connectTo, logIn, redirectUri, tokensOf } from '../support/provider-under-test.ts';
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

describe('the authorization request', () => {
  test('carries code, PKCE S256, state, nonce and our redirect URI (OA-01, OA-10)', async () => {
    const { url, checks } = await provider.startLogin({});
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: op.clientId,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'openid profile email',
      state: checks.state,
      nonce: checks.nonce,
      code_challenge: createHash('sha256').update(checks.codeVerifier).digest('base64url'),
      code_challenge_method: 'S256',
    });
  });

  test('has a verifier, state and nonce of its own each time, 256 bits long (OA-02)', async () => {
    const logins = await Promise.all(Array.from({ length: 100 }, () => provider.startLogin({})));
    const secrets = logins.flatMap(({ checks }) => [checks.codeVerifier, checks.state, checks.nonce]);
    expect(new Set(secrets).size).toBe(300);
    expect(secrets.every((secret) => /^[A-Za-z0-9_-]{43}$/.test(secret))).toBe(true);
  });

  test('cannot be changed by its parameters where it protects the login (OA-18)', async () => {
    const forged = {
      redirect_uri: 'https://evil.test',
      state: 'x',
      nonce: 'x',
      scope: 'admin',
      response_type: 'token',
      code_challenge_method: 'plain',
    };
    const { url, checks } = await provider.startLogin({ ...forged, login_hint: 'alice' });
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      redirect_uri: redirectUri,
      state: checks.state,
      nonce: checks.nonce,
      scope: 'openid profile email',
      response_type: 'code',
      code_challenge_method: 'S256',
      login_hint: 'alice',
    });
  });

  test.each([['-1'], ['abc'], ['1e9'], ['']])('with a max_age of %j is not made', async (max_age) => {
    await expect(provider.startLogin({ max_age })).rejects.toMatchObject({ code: 'bad_request' });
  });
});

describe('the authorization response', () => {
  test.each<[string, NonNullable<Misbehaviour['authorizationResponse']>]>([
    ['another state (OA-05)', { state: 'another' }],
    ['no state (OA-05)', { state: undefined }],
    ['two states (FL-02)', { state: ['a', 'b'] }],
    ['two codes (FL-02)', { code: ['a', 'b'] }],
    ['no code', { code: undefined }],
    ['an empty code', { code: '' }],
    ['another issuer (OA-07, FL-04)', { iss: 'https://other.example.test' }],
    ['the issuer with a slash more (OA-07)', { iss: 'ISSUER/' }],
    ['no issuer, though the metadata promises it (OA-08, FL-04)', { iss: undefined }],
    ['two issuers (FL-02)', { iss: ['a', 'b'] }],
    ['an ID token in it', { id_token: 'x' }],
    ['a JWT response that was not asked for (JARM-02)', { response: 'x' }],
    ['an error of another issuer (OA-07)', { error: 'access_denied', iss: 'https://other.example.test' }],
    ['an error with another state', { error: 'access_denied', state: 'another' }],
  ])('with %s is refused before the token endpoint is called', async (_name, authorizationResponse) => {
    const { iss } = authorizationResponse;
    op.does.authorizationResponse =
      iss === 'ISSUER/' ? { ...authorizationResponse, iss: `${op.issuer}/` } : authorizationResponse;
    expect((await logIn(provider, op.authorize)).outcome.kind).toBe('invalid');
    expect(op.endpoints.seen('token')).toEqual([]);
  });

  test('with an issuer that was not promised must still name ours (OA-09)', async () => {
    op.does.metadata = { authorization_response_iss_parameter_supported: undefined };
    tokensOf((await logIn(provider, op.authorize)).outcome);
    op.does.authorizationResponse = { iss: 'https://other.example.test' };
    expect((await logIn(provider, op.authorize)).outcome.kind).toBe('invalid');
    expect(op.endpoints.seen('token')).toHaveLength(1);
  });

  test('that is an error gives its code, and nothing else of it (OA-21, FL-11)', async () => {
    op.does.authorizationResponse = { code: undefined, error: 'access_denied', error_description: '<script>' };
    expect((await logIn(provider, op.authorize)).outcome).toEqual({ kind: 'refused', error: 'access_denied' });
    op.does.authorizationResponse = { code: undefined, error: '<script>alert(1)</script>' };
    expect((await logIn(provider, op.authorize)).outcome).toEqual({ kind: 'refused', error: 'unknown_error' });
  });

  test('of one login does not finish another (OA-03, FL-06)', async () => {
    const mine = await provider.startLogin({});
    const theirs = await provider.startLogin({});
    const callback = await op.authorize(theirs.url);
    expect((await provider.finishLogin(callback, mine.checks)).kind).toBe('invalid');
    expect(op.endpoints.seen('token')).toEqual([]);
    // Even with the right state, somebody else's code needs somebody else's verifier.
    callback.searchParams.set('state', mine.checks.state);
    expect((await provider.finishLogin(callback, mine.checks)).kind).toBe('invalid');
  });

  test('names no redirect URI: ours is repeated at the token endpoint, wherever the request came in (OA-10)', async () => {
    const { url, checks } = await provider.startLogin({});
    const callback = await op.authorize(url);
    const elsewhere = new URL(`https://evil.test/other${callback.search}`);
    tokensOf(await provider.finishLogin(elsewhere, checks));
    expect(op.endpoints.seen('token')[0]!.parameters.get('redirect_uri')).toBe(redirectUri);
  });
});

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
