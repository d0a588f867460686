// The demo's API and provider by themselves: which access tokens open the API, in both formats, and which do not.
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApi } from '../../examples/demo/api.ts';
import { apiAudience, startProvider } from '../../examples/demo/provider.ts';
import { visitProvider } from '../support/provider-visitor.ts';

const publicUrl = 'http://localhost:8080';
const secrets = { clientSecret: 'the secret of the shop', apiSecret: 'the secret of the API' };

interface Tokens {
  access_token: string;
  id_token: string;
  refresh_token: string;
}

async function startBoth(opaque: boolean) {
  const provider = await startProvider({ preferredPort: 24_000, publicUrl, ...secrets, opaque });
  const { issuer } = provider;
  const client = { clientId: 'orders-api', clientSecret: secrets.apiSecret };
  const api = await startApi({ preferredPort: 24_100, issuer, audience: apiAudience, ...client });
  return {
    /** A login of alice's with these parameters in the authorization request. */
    async logIn(parameters: Record<string, string>): Promise<Tokens> {
      const verifier = randomBytes(32).toString('base64url');
      const redirect_uri = `${publicUrl}/bff/callback`;
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: 'demo-shop',
        redirect_uri,
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
        ...parameters,
      });
      const callback = await visitProvider(`${issuer}/auth?${query}`);
      const code = callback.searchParams.get('code')!;
      const answer = await call('/token', {
        grant_type: 'authorization_code',
        code,
        redirect_uri,
        code_verifier: verifier,
      });
      return (await answer.json()) as Tokens;
    },
    revoke: (token: string) => call('/token/revocation', { token }),
    /** The API's answer to a call with this Authorization header. */
    async order(authorization?: string) {
      const response = await fetch(`${api.url}/api/orders`, {
        headers: authorization === undefined ? {} : { authorization },
      });
      const body = (await response.json()) as { accessToken?: Record<string, string> };
      return { status: response.status, challenge: response.headers.get('www-authenticate'), body };
    },
    close() {
      provider.close();
      api.close();
    },
    closeProvider: () => provider.close(),
  };

  function call(path: string, form: Record<string, string>): Promise<Response> {
    const basic = Buffer.from(`demo-shop:${encodeURIComponent(secrets.clientSecret)}`).toString('base64');
    return fetch(issuer + path, {
      method: 'POST',
      headers: { authorization: `Basic ${basic}` },
      body: new URLSearchParams(form),
    });
  }
}

const forTheApi = { scope: 'openid orders', resource: apiAudience };

let jwt: Awaited<ReturnType<typeof startBoth>>;
let opaque: Awaited<ReturnType<typeof startBoth>>;
beforeAll(async () => {
  jwt = await startBoth(false);
  opaque = await startBoth(true);
});
afterAll(() => {
  jwt.close();
  opaque.close();
});

test('a JWT access token for this API opens it, and the API does not repeat the token', async () => {
  const { access_token } = await jwt.logIn(forTheApi);
  const answer = await jwt.order(`Bearer ${access_token}`);
  expect(answer).toMatchObject({
    status: 200,
    body: { accessToken: { format: 'JWT', user: 'alice', scope: 'orders' } },
  });
  expect(JSON.stringify(answer)).not.toContain(access_token);
});

test('an opaque access token for this API opens it, until it is revoked', async () => {
  const { access_token } = await opaque.logIn(forTheApi);
  expect(access_token.split('.')).toHaveLength(1);
  expect(await opaque.order(`Bearer ${access_token}`)).toMatchObject({
    status: 200,
    body: { accessToken: { format: 'opaque', user: 'alice', scope: 'orders' } },
  });
  await opaque.revoke(access_token);
  expect(await opaque.order(`Bearer ${access_token}`)).toMatchObject({
    status: 401,
    challenge: 'Bearer error="invalid_token"',
  });
});

test('without a token the API asks for one', async () => {
  expect(await jwt.order()).toMatchObject({ status: 401, challenge: 'Bearer' });
  expect(await jwt.order('Basic YTpi')).toMatchObject({ status: 401, challenge: 'Bearer' });
});

test('an ID token, a refresh token, a token for somebody else and nonsense do not open the API', async () => {
  const { id_token, refresh_token } = await jwt.logIn(forTheApi);
  const { access_token: forUserinfo } = await jwt.logIn({ scope: 'openid' });
  const forged = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${id_token.split('.')[1]}.`;
  for (const token of [id_token, refresh_token, forUserinfo, forged, 'nonsense', 'a.b.c']) {
    expect(await jwt.order(`Bearer ${token}`)).toMatchObject({
      status: 401,
      challenge: 'Bearer error="invalid_token"',
    });
  }
});

test('a token without the scope "orders" is not enough', async () => {
  const { access_token } = await jwt.logIn({ ...forTheApi, scope: 'openid' });
  expect(await jwt.order(`Bearer ${access_token}`)).toMatchObject({ status: 403 });
});

test('a provider that cannot be asked makes the API say 503, not that the token is wrong', async () => {
  const lonely = await startBoth(true);
  lonely.closeProvider();
  expect((await lonely.order('Bearer nonsense')).status).toBe(503);
  expect((await lonely.order('Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2ln')).status).toBe(503);
  lonely.close();
});
