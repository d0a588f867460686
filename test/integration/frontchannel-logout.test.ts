import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from '../support/browser.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';

let party: RelyingParty;
beforeAll(async () => {
  party = await startRelyingParty({ config: () => ({ logout: { frontChannel: true } }) });
});
afterAll(async () => {
  await party[Symbol.asyncDispose]();
});

async function login(sid: string): Promise<Browser> {
  party.op.does.idToken = { sid };
  return party.signedInBrowser();
}
const isIn = async (browser: Browser): Promise<boolean> => (await party.bearerOf(browser)) !== undefined;
/** The provider's logout page loads our address in a frame: cross-site, so without the Strict cookie. */
const frame = (browser: Browser, query: Record<string, string> | string) =>
  browser.embed(`/bff/frontchannel-logout?${new URLSearchParams(query)}`, 'iframe', 'https://op.example.test');

test('a frame of the provider’s ends the session that it names, without a cookie, and revokes nothing (FCL-01, FCL-03, CS-11)', async () => {
  const [leaving, staying] = [await login('s1'), await login('s2')];
  const answer = await frame(leaving, { iss: party.op.issuer, sid: 's1' });
  expect(answer).toMatchObject({ status: 200, body: '', headers: { 'cache-control': 'no-store' } });
  expect(answer.setCookies).toEqual([]);
  expect([await isIn(leaving), await isIn(staying)]).toEqual([false, true]);
  expect(party.op.endpoints.seen('revocation')).toEqual([]);
});

test('an address that was registered with a query of its own works as well (FCL-01)', async () => {
  const browser = await login('s5');
  expect((await frame(browser, { app: 'shop', iss: party.op.issuer, sid: 's5' })).status).toBe(200);
  expect(await isIn(browser)).toBe(false);
});

test('only pages of the provider may frame it (HDR-01)', async () => {
  const { headers } = await frame(party.openBrowser(), '');
  expect(headers['content-security-policy']).toBe(`default-src 'none'; frame-ancestors ${party.op.issuer}`);
  expect(headers).not.toHaveProperty('x-frame-options');
});

test.each<[claim: string, query: (issuer: string) => Record<string, string> | string]>([
  ['nothing', () => ''],
  ['a sid alone', () => ({ sid: 's3' })],
  ['an issuer alone', (iss) => ({ iss })],
  ['another issuer', () => ({ iss: 'https://other.example.test', sid: 's3' })],
  ['another sid', (iss) => ({ iss, sid: 's4' })],
  ['two sids', (iss) => `iss=${encodeURIComponent(iss)}&sid=s4&sid=s3`],
])('with %s nobody is logged out (FCL-02, FCL-04)', async (_claim, query) => {
  const browser = await login('s3');
  expect((await frame(browser, query(party.op.issuer))).status).toBe(200);
  expect(await isIn(browser)).toBe(true);
});

test('without being configured front-channel logout is not there, and ends nothing (FCL-04)', async () => {
  await using other = await startRelyingParty();
  other.op.does.idToken = { sid: 's1' };
  const browser = await other.signedInBrowser();
  const query = new URLSearchParams({ iss: other.op.issuer, sid: 's1' });
  expect((await browser.fetch(`/bff/frontchannel-logout?${query}`)).json()).toMatchObject({ code: 'no_route' });
  expect(await other.bearerOf(browser)).toBeDefined();
});
