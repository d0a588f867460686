// Reproduces the checks of the OpenID Foundation's config relying party plan (oidcc-client-config-certification-test-plan). Each name is a module's;
// each runs through the whole app. What else metadata and keys must fulfil is in oidc-discovery.test.ts.
import { afterEach, expect, jest, test } from '@jest/globals';
import { startLogin } from '../support/browser-login.ts';
import { expectRefusal, expectSignedIn, startRelyingParty } from '../support/relying-party.ts';

afterEach(() => {
  jest.restoreAllMocks();
});

test('oidcc-client-test-discovery-openid-config: the login goes where the metadata says (OA-23)', async () => {
  await using party = await startRelyingParty();
  const { origin, pathname } = await startLogin(party.openBrowser());
  expect(origin + pathname).toBe(`${party.op.issuer}/authorize`);
  await expectSignedIn(party);
});

test('oidcc-client-test-discovery-jwks-uri-keys: the keys come from where the metadata says, whatever its address', async () => {
  const does = (issuer: string) => ({ metadata: { jwks_uri: `${issuer}/jwks?run=4711` } });
  await using party = await startRelyingParty({ does });
  await expectSignedIn(party);
  expect(party.op.endpoints.seen('jwks').map(({ query }) => query)).toEqual(['run=4711']);
});

test.each<[string, (issuer: string) => string | undefined]>([
  ['another issuer', () => 'https://other.example.test'],
  ['the issuer with a slash', (issuer) => `${issuer}/`],
  ['no issuer', () => undefined],
])(
  'oidcc-client-test-discovery-issuer-mismatch: metadata of %s sends nobody to its endpoints (OA-22, FL-18)',
  async (_whose, otherIssuer) => {
    await using party = await startRelyingParty({ does: (issuer) => ({ metadata: { issuer: otherIssuer(issuer) } }) });
    const answer = await party.openBrowser().step('/bff/login');
    expect(answer).toMatchObject({
      status: 503,
      headers: { 'retry-after': '5' },
      setCookies: [expect.stringContaining('-logins=')],
    });
    expect(answer.headers['location']).toBeUndefined();
    expect(party.op.endpoints.requests.every(({ endpoint }) => endpoint === 'discovery')).toBe(true);
  },
);

test('oidcc-client-test-idtoken-sig-none: an unsigned ID token signs nobody in, though the metadata offers none (ID-06)', async () => {
  const metadata = { id_token_signing_alg_values_supported: ['none', 'RS256'] };
  await using party = await startRelyingParty({ does: () => ({ metadata }) });
  expect(await expectRefusal(party, { signature: 'none' })).toEqual({ userinfo: 0 });
});

test('oidcc-client-test-signing-key-rotation-just-before-signing: a key that nobody has seen is asked for (ID-08)', async () => {
  await using party = await startRelyingParty();
  const browser = party.openBrowser();
  const callback = await party.op.authorize(await startLogin(browser));
  party.op.rotateKeys();
  expect(await browser.step(callback, { from: party.op.issuer })).toMatchObject({ status: 303 });
  expect(await party.bearerOf(browser)).toMatch(/^Bearer /);
});

test.each([
  ['another key id', undefined, undefined],
  ['no key id', undefined, { kid: undefined }],
  ['the same key id', 'the-only-one', undefined],
])(
  'oidcc-client-test-signing-key-rotation: the next login after a rotation works, with %s (ID-08, ST-15)',
  async (_name, kid, idTokenHeader) => {
    await using party = await startRelyingParty();
    const rotate = (): void => party.op.rotateKeys(kid === undefined ? {} : { kid });
    rotate();
    if (idTokenHeader !== undefined) party.op.does.idTokenHeader = idTokenHeader;
    await expectSignedIn(party);
    rotate();
    // Keys are asked for at most once a second; jose takes the time from Date.
    const { now } = Date;
    jest.spyOn(Date, 'now').mockImplementation(() => now() + 1_050);
    await expectSignedIn(party);
    expect(party.op.endpoints.seen('jwks')).toHaveLength(2);
  },
);
