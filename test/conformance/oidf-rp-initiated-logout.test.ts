// Reproduces the checks of the OpenID Foundation's plan for logout that the relying party begins (oidcc-client-rp-initiated-logout-rp-basic).
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { whoAmI } from '../support/browser-login.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';

let party: RelyingParty;
beforeAll(async () => {
  party = await startRelyingParty({ config: () => ({ logout: { returnTo: '/signed-out' } }) });
});
afterAll(async () => {
  await party[Symbol.asyncDispose]();
});

test.each<[suffix: string, claim: string, comeBack: (state: string) => string]>([
  ['', 'the state that we sent', (state) => `?state=${encodeURIComponent(state)}`],
  ['-other-state', 'another state', () => '?state=somebody-elses'],
  ['-other-state', 'two states', (state) => `?state=${encodeURIComponent(state)}&state=x`],
  ['-no-state', 'no state', () => ''],
])(
  'oidcc-client-test-rp-init-logout%s: back from the provider with %s, the browser lands on the signed-out page (LOG-04)',
  async (_suffix, _claim, comeBack) => {
    const browser = await party.signedInBrowser();
    const { logoutUrl } = (await browser.fetch('/bff/logout', { method: 'POST' })).json() as { logoutUrl: string };
    const { leadsTo } = await browser.navigate(logoutUrl);
    expect(leadsTo!.origin + leadsTo!.pathname).toBe(`${party.op.issuer}/logout`);
    const sent = leadsTo!.searchParams;
    expect(sent.get('post_logout_redirect_uri')).toBe(`${party.postern.publicUrl}/bff/logout/callback`);
    expect(party.op.issued).toContain(sent.get('id_token_hint'));
    const back = `/bff/logout/callback${comeBack(sent.get('state')!)}`;
    const answer = await browser.step(back, { from: party.op.issuer });
    expect([answer.status, answer.headers['location']]).toEqual([303, '/signed-out']);
    expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
  },
);
