// Reproduces the checks of the OpenID Foundation's back-channel logout plan (oidcc-client-back-channel-logout-rp-basic), and further faults of logout tokens.
// Each runs through the whole app: somebody logs in, a logout token is posted, and what the API still gets shows what it did.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { logIn, openBrowser, whoAmI } from '../support/browser-login.ts';
import { postLogoutToken } from '../support/logout-token.ts';
import { freePort } from '../support/free-port.ts';
import { startPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { until } from '../support/until.ts';

const module = 'oidcc-client-test-rp-backchannel-rpinitlogout';
const event = 'http://schemas.openid.net/event/backchannel-logout';
const seconds = (fromNow: number): number => Math.floor(Date.now() / 1000) + fromNow;

let party: RelyingParty;
beforeAll(async () => {
  party = await startRelyingParty();
});
afterAll(async () => {
  await party[Symbol.asyncDispose]();
});

// A session at the provider for each test: what one has ended, a later login is not.
let both: { sub: string; sid: string };
beforeEach(() => {
  both = { sub: 'alice', sid: randomUUID() };
  party.op.does.idToken = { sid: both.sid };
});

type Forge = (op: RelyingParty['op']) => string;
const claiming =
  (claims: object): Forge =>
  (op) =>
    op.logoutToken({ ...both, ...claims });

test.each<[suffix: string, claim: string, forge: Forge]>([
  ['-alg-none', 'an unsigned token (BCL-02)', (op) => op.logoutToken(both, { signature: 'none' })],
  [
    '-wrong-alg',
    'HMAC under the client secret (BCL-02)',
    (op) => op.logoutToken(both, { signature: 'hs256-client-secret' }),
  ],
  ['-wrong-alg', 'HMAC under the public key (BCL-02)', (op) => op.logoutToken(both, { signature: 'hs256-public-key' })],
  [
    '-wrong-alg',
    'an algorithm that the metadata does not name (BCL-02)',
    (op) => op.logoutToken(both, { signature: 'es256' }),
  ],
  ['-no-event', 'no events (BCL-05)', claiming({ events: undefined })],
  ['-wrong-event', 'another event (BCL-05)', claiming({ events: { 'https://example.com/event': {} } })],
  ['-with-nonce', 'a nonce (BCL-06)', claiming({ nonce: 'n' })],
  ['-wrong-aud', 'another client (BCL-03)', claiming({ aud: 'somebody-else' })],
  ['-wrong-iss', 'another issuer (BCL-03)', claiming({ iss: 'https://other.example.test' })],
])(`${module}%s: %s is refused with 400 and ends nothing`, async (_suffix, _claim, forge) => {
  await expectRefused(forge(party.op));
});

test.each<[claim: string, forge: Forge]>([
  ['a broken signature (BCL-02)', (op) => op.logoutToken(both, { signature: 'broken' })],
  ['a stranger’s key (BCL-02)', (op) => op.logoutToken(both, { signature: 'unknown-key' })],
  ['no exp (BCL-03)', claiming({ exp: undefined })],
  ['an exp that has passed (BCL-03)', claiming({ exp: seconds(-120) })],
  ['no iat (BCL-03)', claiming({ iat: undefined })],
  ['an iat in the future (BCL-03)', claiming({ iat: seconds(600), exp: seconds(700) })],
  ['no aud (BCL-03)', claiming({ aud: undefined })],
  ['an audience of others as well (BCL-03)', claiming({ aud: ['postern', 'somebody-else'] })],
  ['neither sub nor sid (BCL-04)', claiming({ sub: undefined, sid: undefined })],
  ['a sid that is no text (BCL-04)', claiming({ sid: 7 })],
  ['no jti', claiming({ jti: undefined })],
  ['events as a list (BCL-05)', claiming({ events: [event] })],
  ['events as text (BCL-05)', claiming({ events: event })],
  ['an event that is null (BCL-05)', claiming({ events: { [event]: null } })],
  ['an event that is a list (BCL-05)', claiming({ events: { [event]: [] } })],
  ['an access token’s type (BCL-08)', (op) => op.logoutToken(both, { header: { typ: 'at+jwt' } })],
  ['no JWT at all', () => 'a.b.c'],
])('a logout token with %s is refused with 400 and ends nothing (CS-08)', async (_claim, forge) => {
  await expectRefused(forge(party.op));
});

test(`${module}-wrong-alg: RS256 where the metadata names PS256 alone is refused (BCL-02)`, async () => {
  const metadata = { id_token_signing_alg_values_supported: ['PS256'] };
  await using strict = await startRelyingParty({ does: () => ({ metadata }) });
  expect((await postLogoutToken(strict.postern, strict.op.logoutToken(both))).status).toBe(400);
});

test('an ID token is no logout token (BCL-08, CS-08)', async () => {
  const browser = await party.signedInBrowser();
  const idToken = party.op.issued.findLast((token) => token.split('.').length === 3)!;
  expect((await postLogoutToken(party.postern, idToken)).status).toBe(400);
  expect(await party.bearerOf(browser)).toBeDefined();
});

test.each<[claim: string, header: object, claims: object]>([
  ['typ logout+jwt', {}, {}],
  ['no typ', { typ: undefined }, {}],
  ['an audience that is a list of us', {}, { aud: ['postern'] }],
  ['sid alone', {}, { sub: undefined }],
])(
  'a right logout token with %s ends the session, and is answered with 200 and no-store (BCL-08, BCL-13)',
  async (_claim, header, claims) => {
    const browser = await party.signedInBrowser();
    const answer = await postLogoutToken(party.postern, party.op.logoutToken({ ...both, ...claims }, { header }));
    expect(answer).toMatchObject({ status: 200, body: '', headers: { 'cache-control': 'no-store' } });
    expect(await party.bearerOf(browser)).toBeUndefined();
    expect((await browser.fetch('/api/x')).json()).toMatchObject({ status: 401, code: 'session_expired' });
  },
);

test(`${module}: the provider’s own logout token, sent while its logout page is confirmed, ends the session here too (LOG-04)`, async () => {
  const port = await freePort();
  const publicUrl = `http://localhost:${port}`;
  const op = await startRealProvider({ backchannelLogoutUri: `${publicUrl}/bff/backchannel-logout` });
  const postern = await startPostern(op, { publicUrl, listen: `127.0.0.1:${port}` });
  try {
    const cookies = new Map<string, string>();
    const pages = { issuer: op.issuer, visit: (url: URL) => op.visit(url, { cookies }) };
    const [leaving, staying] = [openBrowser(postern), openBrowser(postern)];
    await logIn(leaving, pages);
    await logIn(staying, pages);
    const { logoutUrl } = (await leaving.fetch('/bff/logout', { method: 'POST' })).json() as { logoutUrl: string };
    expect(await whoAmI(staying)).toMatchObject({ authenticated: true });
    const { leadsTo } = await leaving.navigate(logoutUrl);
    const back = await op.visit(leadsTo!, { cookies });
    expect((await leaving.step(back, { from: op.issuer })).status).toBe(303);
    await until(async () => !((await whoAmI(staying)) as { authenticated: boolean }).authenticated);
    expect(postern.log.join('')).toContain('back-channel logout');
  } finally {
    await postern.stop();
    await op.close();
  }
});

async function expectRefused(logoutToken: string): Promise<void> {
  const browser = await party.signedInBrowser();
  const answer = await postLogoutToken(party.postern, logoutToken);
  expect(answer).toMatchObject({ status: 400, headers: { 'cache-control': 'no-store' } });
  expect(JSON.parse(answer.body)).toMatchObject({ error: 'invalid_request', error_description: expect.any(String) });
  expect(await party.bearerOf(browser)).toBeDefined();
}
