// The provider object against a real OpenID provider: login, refresh with rotation, revocation, logout, outages.
import { afterEach, describe, expect, test } from '@jest/globals';
import { postLogoutRedirectUri, connectTo, logIn, tokensOf } from '../support/provider-under-test.ts';
import type { ConnectOptions } from '../support/provider-under-test.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider, RealProviderOptions } from '../support/real-provider.ts';
import { until } from '../support/until.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: RealProviderOptions & ConnectOptions = {}) {
  const op = await startRealProvider(options);
  const provider = connectTo(op, options);
  cleanups.push(
    () => op.close(),
    () => provider.close(),
  );
  return { op, provider };
}

async function signIn(op: RealProvider, provider: ReturnType<typeof connectTo>, user = 'alice') {
  const { outcome } = await logIn(provider, (url) => op.visit(url, { user }));
  return tokensOf(outcome);
}

const patience = () => AbortSignal.timeout(20_000);

describe('login', () => {
  test('a user logs in and is known by the claims of ID token and userinfo', async () => {
    const { op, provider } = await start();
    const tokens = await signIn(op, provider, 'bob');
    expect(tokens.claims).toMatchObject({ iss: op.issuer, sub: 'bob', name: 'Bob Example', email: 'bob@example.test' });
    expect(tokens.scope).toBe('openid profile email');
    expect(tokens.refreshToken).toBeDefined();
    expect(tokens.expiresInMs).toBeGreaterThan(200_000);
    expect(tokens.expiresInMs).toBeLessThanOrEqual(300_000);
  });

  test('a user who says no is refused with the provider’s code', async () => {
    const { op, provider } = await start();
    const { outcome } = await logIn(provider, (url) => op.visit(url, { deny: true }));
    expect(outcome).toEqual({ kind: 'refused', error: 'access_denied' });
    expect(op.endpoints.seen('token')).toEqual([]);
  });

  test('prompt=none without a session at the provider is login_required, not an error of ours (ID-16)', async () => {
    const { op, provider } = await start();
    const { outcome } = await logIn(provider, (url) => op.visit(url), { prompt: 'none' });
    expect(outcome).toEqual({ kind: 'refused', error: 'login_required' });
  });

  test('a code is redeemed once; the same callback again is refused without tokens (OA-11)', async () => {
    const { op, provider } = await start();
    const { callback, checks, outcome } = await logIn(provider, (url) => op.visit(url));
    tokensOf(outcome);
    expect(await provider.finishLogin(callback, checks)).toMatchObject({
      kind: 'invalid',
      cause: { code: 'invalid_grant' },
    });
  });

  test('userinfo that cannot be read costs claims, not the login', async () => {
    const { op, provider } = await start();
    op.endpoints.behaviours.userinfo.fail('unavailable');
    const tokens = await signIn(op, provider);
    expect(tokens.claims.sub).toBe('alice');
    expect(tokens.claims).not.toHaveProperty('email');
  });

  test('with an audience the access token is a JWT for it and the claims come in the ID token', async () => {
    const { op, provider } = await start({ audience: 'https://api.example.test' });
    const tokens = await signIn(op, provider);
    expect(tokens.accessToken.split('.')).toHaveLength(3);
    expect(tokens.claims).toMatchObject({ email: 'alice@example.test' });
  });

  test.each([['basic'], ['post']] as const)('a confidential client proves itself by %s', async (clientAuth) => {
    const { op, provider } = await start({ clientAuth, settings: { clientAuth } });
    await signIn(op, provider);
    expect(op.endpoints.seen('token').map((request) => request.clientAuth)).toEqual([clientAuth]);
  });

  test('a public client sends no secret', async () => {
    const { op, provider } = await start({ clientSecret: null });
    await signIn(op, provider);
    expect(op.endpoints.seen('token').map((request) => request.clientAuth)).toEqual(['none']);
  });

  test('a client secret full of special characters arrives as it is (OA-12)', async () => {
    const { op, provider } = await start({ clientSecret: 'a:b%/+ &=?~' });
    await signIn(op, provider);
  });

  test('login while the token endpoint is down is unavailable, and the next one works', async () => {
    const { op, provider } = await start();
    op.endpoints.behaviours.token.fail('unavailable', 1);
    expect((await logIn(provider, (url) => op.visit(url))).outcome).toMatchObject({ kind: 'unavailable' });
    await signIn(op, provider);
  });
});

describe('pushed authorization requests', () => {
  test('where the provider offers them, the browser carries client_id and request_uri and nothing else (PAR-01)', async () => {
    const { op, provider } = await start({ par: 'offered' });
    const { url } = await provider.startLogin({ login_hint: 'alice' });
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
    expect(op.endpoints.seen('par')[0]).toMatchObject({ clientAuth: 'basic' });
  });

  test('where the provider requires them, a login works (PAR-02), and each pushes anew (PAR-03)', async () => {
    const { op, provider } = await start({ par: 'required' });
    await signIn(op, provider);
    await signIn(op, provider);
    expect(op.endpoints.seen('par')).toHaveLength(2);
    expect(op.endpoints.seen('par').some(({ parameters }) => parameters.has('request_uri'))).toBe(false);
  });

  test.each([['unavailable'], ['reset'], ['html'], [{ error: 'invalid_request' }]] as const)(
    'a push that fails (%j) is a clean error, never a plain request instead (PAR-04)',
    async (fault) => {
      const { op, provider } = await start({ par: 'offered' });
      op.endpoints.behaviours.par.fail(fault);
      await expect(provider.startLogin({})).rejects.toMatchObject({ code: 'provider_unavailable', status: 503 });
    },
  );
});

describe('refresh', () => {
  test('tokens rotate, and each refresh token works once', async () => {
    const { op, provider } = await start();
    const first = await signIn(op, provider);
    const second = await provider.refresh(first, patience());
    if (second.kind !== 'refreshed') throw new Error(second.kind);
    expect(second.tokens.refreshToken).not.toBe(first.refreshToken);
    expect(second.tokens.accessToken).not.toBe(first.accessToken);
    expect(second.unverifiedIdToken).toBeUndefined();
    expect(second.tokens.claims).toMatchObject({ sub: 'alice', email: 'alice@example.test' });
    expect(await provider.refresh(first, patience())).toEqual({ kind: 'ended', error: 'invalid_grant' });
  });

  test('a provider that does not rotate keeps its refresh token (OA-17)', async () => {
    const { op, provider } = await start({ rotate: false });
    const first = await signIn(op, provider);
    expect(await provider.refresh(first, patience())).toMatchObject({
      kind: 'refreshed',
      tokens: { refreshToken: first.refreshToken },
    });
  });

  test('a grant that the provider has forgotten ends the session (TK-07)', async () => {
    const { op, provider } = await start();
    const tokens = await signIn(op, provider);
    op.forgetGrants();
    expect(await provider.refresh(tokens, patience())).toEqual({ kind: 'ended', error: 'invalid_grant' });
  });

  test('a refresh whose caller’s time is up was sent and not answered', async () => {
    const { op, provider } = await start();
    const tokens = await signIn(op, provider);
    op.endpoints.behaviours.token.fail('hang');
    const caller = new AbortController();
    const refresh = provider.refresh(tokens, caller.signal);
    await until(() => op.endpoints.seen('token', 'refresh_token').length === 1);
    caller.abort();
    expect(await refresh).toMatchObject({ kind: 'unavailable', sent: true, answered: false });
  });

  test('a provider that is gone was not sent anything, and back again it refreshes', async () => {
    const { op, provider } = await start();
    const tokens = await signIn(op, provider);
    await op.goAway();
    expect(await provider.refresh(tokens, patience())).toMatchObject({
      kind: 'unavailable',
      sent: false,
      answered: false,
    });
    await op.comeBack();
    expect(await provider.refresh(tokens, patience())).toMatchObject({ kind: 'refreshed' });
  });

  test('token calls never share a connection: a stale one would look like an answer that was lost', async () => {
    const { op, provider } = await start();
    let tokens = await signIn(op, provider);
    for (let turn = 0; turn < 3; turn += 1) {
      const outcome = await provider.refresh(tokens, patience());
      if (outcome.kind !== 'refreshed') throw new Error(outcome.kind);
      tokens = outcome.tokens;
    }
    const ports = op.endpoints.seen('token').map(({ remotePort }) => remotePort);
    expect(new Set(ports).size).toBe(4);
  });
});

describe('revocation (RFC 7009)', () => {
  test('the refresh token is revoked, client-authenticated and with its hint, and dead afterwards (RV-01)', async () => {
    const { op, provider } = await start();
    const tokens = await signIn(op, provider);
    expect(await provider.revoke(tokens.refreshToken!)).toBe(true);
    const [request] = op.endpoints.seen('revocation');
    expect(request).toMatchObject({ clientAuth: 'basic' });
    expect(request!.parameters.get('token_type_hint')).toBe('refresh_token');
    expect(await provider.refresh(tokens, patience())).toEqual({ kind: 'ended', error: 'invalid_grant' });
  });

  test('an unknown token counts as revoked (RV-01)', async () => {
    const { provider } = await start();
    expect(await provider.revoke('never-heard-of-it')).toBe(true);
  });

  test('a revocation that got no answer is tried again in the background (RV-02)', async () => {
    const { op, provider } = await start();
    const tokens = await signIn(op, provider);
    op.endpoints.behaviours.revocation.fail('reset', 1);
    expect(await provider.revoke(tokens.refreshToken!)).toBe(false);
    await until(() => op.endpoints.seen('revocation').length === 2);
  });

  test('a revocation that is refused is not tried again', async () => {
    const { op, provider } = await start();
    op.endpoints.behaviours.revocation.fail({ error: 'invalid_client', status: 401 });
    expect(await provider.revoke('x')).toBe(false);
    expect(op.endpoints.seen('revocation')).toHaveLength(1);
  });
});

describe('RP-initiated logout', () => {
  test('the provider ends its session and sends the browser back with our state (LOG-02, LOG-03)', async () => {
    const { op, provider } = await start();
    const cookies = new Map<string, string>();
    const { outcome } = await logIn(provider, (url) => op.visit(url, { cookies }));
    const { endpoint, parameters } = (await provider.logoutRequest(tokensOf(outcome).idToken, 'our-state'))!;
    expect(Object.keys(parameters).sort()).toEqual(['client_id', 'id_token_hint', 'post_logout_redirect_uri', 'state']);
    const back = await op.visit(`${endpoint}?${new URLSearchParams(parameters).toString()}`, { cookies });
    expect(back.href).toBe(`${postLogoutRedirectUri}?state=our-state`);
    expect((await logIn(provider, (url) => op.visit(url, { cookies }), { prompt: 'none' })).outcome).toEqual({
      kind: 'refused',
      error: 'login_required',
    });
  });

  test('where the configuration says so, the provider is told client_id alone', async () => {
    const { op, provider } = await start({ idTokenHint: false });
    const tokens = await signIn(op, provider);
    expect((await provider.logoutRequest(tokens.idToken, 's'))!.parameters).not.toHaveProperty('id_token_hint');
    expect(provider.endSessionOrigin()).toBe(op.issuer);
  });
});

describe('a provider that is down', () => {
  test('at start is asked again until it is there, and nobody waits for it meanwhile (ST-13)', async () => {
    const op = await startRealProvider();
    await op.goAway();
    const provider = connectTo(op);
    cleanups.push(
      () => op.close(),
      () => provider.close(),
    );
    await expect(provider.startLogin({})).rejects.toMatchObject({ code: 'provider_unavailable', status: 503 });
    expect(provider.ready()).toBe(false);
    expect(await provider.logoutRequest('id-token', 's')).toBeNull();
    await op.comeBack();
    await until(() => provider.ready());
    await signIn(op, provider);
  });

  test('is asked by one caller a second, not by all of them', async () => {
    const op = await startRealProvider();
    op.endpoints.behaviours.discovery.fail('unavailable');
    const now = Date.now();
    const provider = connectTo(op, { now: () => now });
    cleanups.push(
      () => op.close(),
      () => provider.close(),
    );
    const logins = await Promise.allSettled(Array.from({ length: 50 }, () => provider.startLogin({})));
    expect(logins.every(({ status }) => status === 'rejected')).toBe(true);
    await expect(provider.startLogin({})).rejects.toThrow();
    expect(op.endpoints.seen('discovery')).toHaveLength(1);
  });

  test('five failures in a row spare it further token calls for 10 s; then one caller tries (TK-09)', async () => {
    let now = Date.now();
    const { op, provider } = await start({ now: () => now });
    const tokens = await signIn(op, provider);
    op.endpoints.behaviours.token.fail('unavailable', 5);
    for (let turn = 0; turn < 5; turn += 1) {
      expect(await provider.refresh(tokens, patience())).toMatchObject({ answered: true, retryAfterMs: 7_000 });
    }
    expect(await provider.refresh(tokens, patience())).toMatchObject({ kind: 'unavailable', sent: false });
    expect(op.endpoints.seen('token', 'refresh_token')).toHaveLength(5);
    now += 10_000;
    expect(await provider.refresh(tokens, patience())).toMatchObject({ kind: 'refreshed' });
  });
});
