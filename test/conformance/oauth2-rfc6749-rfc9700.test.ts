// RFC 6749, RFC 7636, RFC 9207 and RFC 9700: authorization request and response. What becomes of the code is in oauth2-token-endpoint.test.ts.
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { Misbehaviour, MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { connectTo, logIn, redirectUri, tokensOf } from '../support/provider-under-test.ts';
import type { Provider } from '../../src/oidc/provider.ts';

let op: MisbehavingProvider;
let provider: Provider;

beforeEach(async () => {
  op = await startMisbehavingProvider();
  provider = connectTo(op);
});
afterEach(async () => {
  await provider.close();
  await op.close();
});

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
