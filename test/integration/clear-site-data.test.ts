// What the browser keeps of the app when somebody logs out (W3C Clear Site Data): its own affair, unless the configuration says what is to go.
import { expect, test } from '@jest/globals';
import { startRelyingParty } from '../support/relying-party.ts';

const party = (logout: object) => startRelyingParty({ config: () => ({ logout }) });

test('a logout tells the browser to forget what the configuration names, by fetch and by form, and no other answer does (SES-22)', async () => {
  await using shop = await party({ clearSiteData: ['cache', 'cookies', 'storage'] });
  const browser = await shop.signedInBrowser();
  const refused = await browser.fetch('/bff/logout', { method: 'POST', from: 'https://evil.example' });
  expect([refused.status, refused.headers['clear-site-data']]).toEqual([403, undefined]);
  const quiet = ['/bff/session', '/api/x', '/bff/sessions'].map((path) => browser.fetch(path));
  for (const { status, headers } of await Promise.all(quiet)) {
    expect([status, headers['clear-site-data']]).toEqual([200, undefined]);
  }

  const byFetch = await browser.fetch('/bff/logout', { method: 'POST' });
  expect([byFetch.status, byFetch.headers['clear-site-data']]).toEqual([200, '"cache", "cookies", "storage"']);
  const form = { method: 'POST', from: shop.postern.publicUrl, headers: { 'content-type': 'text/plain' } };
  const byForm = await (await shop.signedInBrowser()).step('/bff/logout', form);
  expect([byForm.status, byForm.headers['clear-site-data']]).toEqual([303, '"cache", "cookies", "storage"']);
});

test('unless it is configured, a logout leaves the app’s data alone (SES-22)', async () => {
  await using shop = await party({});
  const answer = await (await shop.signedInBrowser()).fetch('/bff/logout', { method: 'POST' });
  expect(answer.headers).not.toHaveProperty('clear-site-data');
});
