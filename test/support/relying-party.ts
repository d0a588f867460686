// Postern as the relying party of a provider that breaks rules: a login goes through the whole app, and what came of it is judged by what
// the browser, the provider and the API saw. A refused login leaves no session, no use of its tokens, and the session before as it was.
import { expect } from '@jest/globals';
import { Browser } from './browser.ts';
import type { BrowserAnswer } from './browser.ts';
import { logIn, whoAmI } from './browser-login.ts';
import { startMisbehavingProvider } from './misbehaving-provider.ts';
import type { Misbehaviour, MisbehavingProvider } from './misbehaving-provider.ts';
import { startPostern } from './postern.ts';
import type { ConfigInput, LocalPostern } from './postern.ts';
import { RecordingUpstream } from './upstream.ts';

export interface RelyingParty {
  op: MisbehavingProvider;
  postern: LocalPostern;
  /** Behind `/api`. */
  api: RecordingUpstream;
  openBrowser(): Browser;
  /** A login up to the callback's answer. */
  logIn(browser: Browser, query?: string): Promise<BrowserAnswer>;
  signedInBrowser(): Promise<Browser>;
  /** The token that an API call of this browser carries; undefined when the call does not get through. */
  bearerOf(browser: Browser): Promise<string | undefined>;
  sessionCookieOf(browser: Browser): string | undefined;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Failed logins end on `/login-failed`. `does` is what the provider does from the start, before anybody has asked for its metadata; `config` gives top-level keys of the configuration file. */
export async function startRelyingParty(
  options: {
    does?: (issuer: string) => Misbehaviour;
    config?: (op: MisbehavingProvider, api: RecordingUpstream) => ConfigInput;
  } = {},
): Promise<RelyingParty> {
  const [op, api] = await Promise.all([startMisbehavingProvider(), RecordingUpstream.start()]);
  Object.assign(op.does, options.does?.(op.issuer));
  const postern = await startPostern(op, {
    routes: [{ path: '/api', upstream: api.url }],
    login: { errorUrl: '/login-failed' },
    ...options.config?.(op, api),
  });
  const pages = { issuer: op.issuer, visit: (url: URL) => op.authorize(url) };
  const cookieName = `postern-${new URL(postern.publicUrl).port}`;
  const openBrowser = (): Browser => new Browser(postern);
  return {
    op,
    api,
    postern,
    openBrowser,
    logIn: (browser, query = '') => logIn(browser, pages, { query }),
    async signedInBrowser() {
      const browser = openBrowser();
      await logIn(browser, pages);
      return browser;
    },
    async bearerOf(browser) {
      const { status } = await browser.fetch('/api/x');
      return status === 200 ? api.last.headers.authorization : undefined;
    },
    sessionCookieOf: (browser) => browser.jar.get(cookieName)?.value,
    async [Symbol.asyncDispose]() {
      await postern.stop();
      await Promise.all([api.stop(), op.close()]);
    },
  };
}

/** Somebody who is signed in and somebody who is not log in at a provider that does this, and neither gets anything. Gives how often userinfo was asked. */
export async function expectRefusal(party: RelyingParty, misbehaviour: Misbehaviour): Promise<{ userinfo: number }> {
  const { op, api } = party;
  const [member, stranger] = [await party.signedInBrowser(), party.openBrowser()];
  const [cookie, bearer] = [party.sessionCookieOf(member), await party.bearerOf(member)];
  const asked = op.endpoints.seen('userinfo').length;
  Object.assign(op.does, misbehaviour);
  for (const browser of [member, stranger]) {
    const { status, headers } = await party.logIn(browser);
    expect([status, headers['location']]).toEqual([303, '/login-failed?error=login_failed']);
  }
  expect(bearer).toMatch(/^Bearer /);
  expect([party.sessionCookieOf(member), await party.bearerOf(member)]).toEqual([cookie, bearer]);
  const calls = api.requests.length;
  expect(party.sessionCookieOf(stranger)).toBeUndefined();
  expect((await stranger.fetch('/api/x')).status).toBe(401);
  expect(api.requests).toHaveLength(calls);
  return { userinfo: op.endpoints.seen('userinfo').length - asked };
}

/** A login that ends signed in, the provider doing this; gives what `/bff/session` says. */
export async function expectSignedIn(party: RelyingParty, misbehaviour: Misbehaviour = {}): Promise<any> {
  Object.assign(party.op.does, misbehaviour);
  const browser = await party.signedInBrowser();
  const session = await whoAmI(browser);
  expect(session).toMatchObject({ authenticated: true });
  expect(await party.bearerOf(browser)).toMatch(/^Bearer /);
  return session;
}
