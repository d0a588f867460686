// A signed-in browser in the fewest steps, for tests whose subject comes after the login: it logs in through the provider's pages and keeps the cookie.
import { request } from 'undici';
import type { Postern } from './postern.ts';
import { until } from './until.ts';

/** What a provider's `visit` does: follows its pages and gives the URL that the browser is sent back to. */
export interface Visitable {
  visit(url: string, options: { user: string }): Promise<URL>;
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

export interface SignedIn {
  /** The Cookie header. */
  cookie: string;
  /** The field that set the cookie, attributes included. */
  setCookie: string;
  /** Waits, in the provider's and Postern's real time, until the access token has expired. */
  untilExpired(): Promise<void>;
  /** A call from our own page. */
  call(
    path: string,
    options?: { method?: string; on?: Postern; signal?: AbortSignal; headers?: Record<string, string> },
  ): Promise<Answer>;
}

const navigation = {
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
  accept: 'text/html',
};

/**
 * Logs `user` in. The session is good for every process that shares the store and the keys. A machine that is too slow for the half second that the
 * store is given has two more tries.
 */
export async function signIn(postern: Postern, provider: Visitable, user = 'alice'): Promise<SignedIn> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await signInOnce(postern, provider, user);
    } catch (error) {
      if (tries === 3 || !String(error).includes('session_store_unavailable')) throw error;
    }
  }
}

async function signInOnce(postern: Postern, provider: Visitable, user: string): Promise<SignedIn> {
  const { host } = new URL(postern.publicUrl);
  const login = await request(`${postern.address}/bff/login`, { headers: { ...navigation, host } });
  await login.body.dump();
  const location = login.headers['location'];
  if (login.statusCode !== 302 || typeof location !== 'string')
    throw new Error(`The login answered ${login.statusCode}`);
  const callbackUrl = await provider.visit(location, { user });
  const callback = await request(`${postern.address}${callbackUrl.pathname}${callbackUrl.search}`, {
    headers: {
      ...navigation,
      host,
      'sec-fetch-site': 'cross-site',
      cookie: cookiesOf(login.headers['set-cookie']).join('; '),
    },
  });
  const text = await callback.body.text();
  if (callback.statusCode !== 303) throw new Error(`The callback answered ${callback.statusCode}: ${text}`);
  const setCookie = [callback.headers['set-cookie'] ?? []].flat().find((field) => /=s(:|%3A)/.test(field));
  if (setCookie === undefined) throw new Error('The callback set no session cookie');
  const [cookie = ''] = cookiesOf(setCookie);
  const signedIn: SignedIn = {
    cookie,
    setCookie,
    async untilExpired() {
      // However short its life was in the end: a token of less than two seconds is not refreshed.
      const oldEnough = performance.now() + 2_000;
      await until(async () => accessTokenExpiresIn((await signedIn.call('/bff/session')).body) === 0, 40_000);
      // Whole seconds are told, rounded down: the last one may still be running.
      const end = Math.max(performance.now() + 1_000, oldEnough);
      await until(() => performance.now() >= end);
    },
    async call(path, { method = 'GET', on = postern, signal, headers = {} } = {}) {
      const answer = await request(`${on.address}${path}`, {
        method: method as 'GET',
        headers: {
          host: new URL(on.publicUrl).host,
          cookie,
          'sec-fetch-site': 'same-origin',
          'sec-fetch-mode': 'cors',
          'sec-fetch-dest': 'empty',
          ...headers,
        },
        ...(signal === undefined ? {} : { signal }),
      });
      return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
    },
  };
  return signedIn;
}

/** What an answer of `/bff/session` says of the access token: whole seconds that are left. */
export function accessTokenExpiresIn(body: string): number | undefined {
  return (JSON.parse(body) as { session?: { accessTokenExpiresIn?: number } }).session?.accessTokenExpiresIn;
}

/** `name=value` of every cookie that was set. */
export function cookiesOf(setCookie: string | string[] | undefined): string[] {
  return [setCookie ?? []].flat().map((line) => line.split(';', 1)[0]!);
}
