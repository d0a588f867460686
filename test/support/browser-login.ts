// A browser model that logs in through a test provider's pages.
import { Browser } from './browser.ts';
import type { BrowserAnswer } from './browser.ts';
import type { Postern } from './postern.ts';

export interface ProviderPages {
  issuer: string;
  visit(url: URL, options: { user: string; deny?: boolean }): Promise<URL>;
}

export interface LoginOptions {
  user?: string;
  /** Query of `/bff/login`. */
  query?: string;
  /** Says no on the consent page. */
  deny?: boolean;
}

export const openBrowser = (postern: Postern): Browser => new Browser(postern);

/** The way out: gives the URL at the provider. */
export async function startLogin(browser: Browser, query = ''): Promise<URL> {
  const { status, leadsTo, body } = await browser.step('/bff/login' + query).then((answer) => ({
    ...answer,
    leadsTo: typeof answer.headers['location'] === 'string' ? new URL(answer.headers['location']) : undefined,
  }));
  if (status !== 302 || leadsTo === undefined) throw new Error(`The login answered ${status}: ${body}`);
  return leadsTo;
}

/** A whole login up to the callback's answer, which is not followed. */
export async function logIn(
  browser: Browser,
  provider: ProviderPages,
  options: LoginOptions = {},
): Promise<BrowserAnswer & { callbackUrl: URL }> {
  const { user = 'alice', query = '', deny = false } = options;
  const callbackUrl = await provider.visit(await startLogin(browser, query), { user, deny });
  return { ...(await browser.step(callbackUrl, { from: provider.issuer })), callbackUrl };
}

export const whoAmI = async (browser: Browser): Promise<any> => (await browser.fetch('/bff/session')).json();

/** A browser that has just logged in. */
export async function signedInBrowser(postern: Postern, provider: ProviderPages): Promise<Browser> {
  const browser = openBrowser(postern);
  await logIn(browser, provider);
  return browser;
}

/** The name of its session cookie, on http. */
export const sessionCookieOf = (browser: Browser): string | undefined =>
  browser.jar.names().find((name) => /^postern-\d+$/.test(name));

/** The same session cookie in another browser, at this replica or another: a second tab, or what a thief has. */
export function copyOf(browser: Browser, postern: Postern): Browser {
  const copy = openBrowser(postern);
  const name = sessionCookieOf(browser)!;
  const field = `${name}=${browser.jar.get(name)!.value}; Path=/; HttpOnly; SameSite=Strict`;
  copy.jar.store(new URL(postern.publicUrl), field);
  return copy;
}
