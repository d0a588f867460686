// What a person does in the browser: at the app of test/e2e/app, and on the pages of the real provider.
import type { Page } from 'playwright-core';

/** What a call of the app's came back with. */
export interface CallResult {
  status: number;
  body: any;
}

/** Clicks "Log in" in the app, and does at the provider what it asks for; ends in the app, signed in. */
export async function logIn(page: Page, user = 'alice'): Promise<void> {
  await page.getByRole('link', { name: 'Log in' }).click();
  await identify(page, user);
  await isSignedIn(page);
}

/** On the provider's pages: name and password, and consent. */
export async function identify(page: Page, user = 'alice'): Promise<void> {
  await giveCredentials(page, user);
  await page.getByRole('button', { name: 'Allow' }).click();
}

/** On the provider's first page: name and password. */
export async function giveCredentials(page: Page, user = 'alice'): Promise<void> {
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Password').fill(`${user}-password`);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** Clicks "Log out" in the app and says yes at the provider; ends in the app, signed out. */
export async function logOut(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await confirmLogout(page);
}

/** On the provider's page: yes, log me out there too. */
export async function confirmLogout(page: Page): Promise<void> {
  await page.getByRole('heading', { name: 'Log out?' }).waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await isSignedOut(page);
}

export async function isSignedIn(page: Page): Promise<void> {
  await see(page, 'Signed in as');
}

export async function isSignedOut(page: Page): Promise<void> {
  await see(page, 'Signed out');
}

async function see(page: Page, text: string): Promise<void> {
  try {
    await page.getByText(text).waitFor();
  } catch (cause) {
    const shown = await page.locator('body').innerText();
    throw new Error(`"${text}" is not to be seen at ${page.url()}, where it says:\n${shown}`, { cause });
  }
}

/** A fetch of the page's own. */
export async function call(page: Page, path: string, method = 'GET'): Promise<CallResult> {
  return page.evaluate(
    async ([url, verb]) => {
      const answer = await fetch(url!, { method: verb! });
      return { status: answer.status, body: await answer.json() };
    },
    [path, method],
  );
}

/** Does the last step at the provider, and keeps the browser from following the redirect back; gives the callback URL, unvisited. */
export async function stopBeforeCallback(page: Page, lastStep: () => Promise<void>): Promise<string> {
  const devtools = await page.context().newCDPSession(page);
  const stopped = Promise.withResolvers<string>();
  devtools.on('Fetch.requestPaused', ({ requestId, request }) => {
    void devtools.send('Fetch.failRequest', { requestId, errorReason: 'Aborted' });
    stopped.resolve(request.url);
  });
  await devtools.send('Fetch.enable', { patterns: [{ urlPattern: '*/bff/callback?*' }] });
  await lastStep();
  const callbackUrl = await stopped.promise;
  await devtools.detach();
  return callbackUrl;
}
