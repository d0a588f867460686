// Front-channel logout in a real Chromium: the provider's page, on another site than the app, loads our address in a frame, where no Strict cookie goes.
import { expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { startChromium } from '../support/chromium.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import { appDirectory } from '../support/shop.ts';
import { until } from '../support/until.ts';

const embed = (page: Page, src: string): Promise<void> =>
  page.evaluate((url) => {
    document.body.append(Object.assign(document.createElement('iframe'), { src: url }));
  }, src);

test('a frame on the provider’s page ends the session on the server, and no other; a frame that knows no sid ends none (FCL-03, FCL-04)', async () => {
  await using party = await startRelyingParty({
    config: () => ({ logout: { frontChannel: true }, spa: { directory: appDirectory } }),
  });
  const { publicUrl } = party.postern;
  const chromium = await startChromium();
  try {
    const signIn = async (sid: string): Promise<Page> => {
      party.op.does.idToken = { sid };
      const page = await (await chromium.newContext()).newPage();
      await page.goto(`${publicUrl}/bff/login`);
      return page;
    };
    const isIn = async (page: Page): Promise<boolean> =>
      page.evaluate(async () => (await (await fetch('/bff/session')).json()).authenticated);
    const [leaving, staying] = [await signIn('s1'), await signIn('s2')];
    expect([await isIn(leaving), await isIn(staying)]).toEqual([true, true]);

    const providersPage = await leaving.context().newPage();
    // Any page there will do.
    await providersPage.goto(`${party.op.issuer}/.well-known/openid-configuration`);
    const frame = async (query: string): Promise<void> => {
      const url = `${publicUrl}/bff/frontchannel-logout${query}`;
      const answered = providersPage.waitForResponse(url);
      await embed(providersPage, url);
      const request = (await answered).request();
      expect((await request.allHeaders())['cookie']).toBeUndefined();
    };
    await frame('');
    expect(await isIn(leaving)).toBe(true);
    await frame(`?${new URLSearchParams({ iss: party.op.issuer, sid: 's1' })}`);
    await until(async () => !(await isIn(leaving)));
    expect(await isIn(staying)).toBe(true);
  } finally {
    await chromium.close();
  }
});
