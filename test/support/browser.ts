// A browser over HTTP: a cookie jar that honours prefixes, Secure, SameSite and Path, and requests that are marked as browsers mark them (RFC 6265bis,
// W3C Fetch Metadata). It runs no scripts. Everything it ever received is kept, so that a test can search it for what must not be there.
import { request } from 'undici';
import { CookieJar, siteOf } from './cookie-jar.ts';

/** Where a request was started: an origin, or `typed` for the address bar. */
export type Initiator = string;

export interface BrowserAnswer {
  /** Of the last step. */
  url: URL;
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
  /** Where it redirects to, when that step was not followed because it leaves our origin. */
  leadsTo: URL | undefined;
  json(): any;
  /** The Set-Cookie lines of the last step. */
  setCookies: string[];
}

export interface RequestOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  from?: Initiator;
  signal?: AbortSignal;
}

interface Marks {
  mode: 'navigate' | 'cors' | 'no-cors';
  dest: 'document' | 'empty' | 'image' | 'iframe';
}

const longestChain = 10;

export class Browser {
  readonly jar: CookieJar;
  /** Every head and body received, oldest first. */
  readonly received: string[] = [];
  readonly #origin: string;
  readonly #address: string;

  /** @param target `publicUrl` is what this browser sees; `address` is where that really listens, as behind a TLS terminator */
  constructor(target: { publicUrl: string; address: string; now?: () => number }) {
    this.#origin = target.publicUrl;
    this.#address = target.address;
    this.jar = new CookieJar(target.now ?? Date.now);
  }

  /** The tab goes to an address, and on through every redirect within our origin. A link on `from`; typed unless given. */
  async navigate(url: string | URL, options: RequestOptions = {}): Promise<BrowserAnswer> {
    let answer = await this.step(url, options);
    const { method = 'GET', body, ...marks } = options;
    let next: RequestOptions = { ...marks, method, ...(body === undefined ? {} : { body }) };
    for (let step = 0; step < longestChain; step += 1) {
      const location = answer.headers['location'];
      if (typeof location !== 'string') return answer;
      const target = new URL(location, answer.url);
      if (target.origin !== this.#origin) return { ...answer, leadsTo: target };
      if (answer.status === 303 || method === 'POST') next = { ...marks, method: 'GET' };
      answer = await this.step(target, next);
    }
    throw new Error(`Redirected in circles at ${answer.url.href}`);
  }

  /** One navigation request, redirects not followed. */
  step(url: string | URL, options: RequestOptions = {}): Promise<BrowserAnswer> {
    return this.#send(url, { from: 'typed', ...options }, { mode: 'navigate', dest: 'document' });
  }

  /** A script's fetch with credentials, from our own page unless `from` says otherwise; redirects not followed. */
  fetch(url: string | URL, options: RequestOptions = {}): Promise<BrowserAnswer> {
    return this.#send(url, options, { mode: 'cors', dest: 'empty' });
  }

  /** A form of a page is sent; follows redirects within our origin. */
  submit(
    url: string | URL,
    options: RequestOptions & { fields?: Record<string, string> } = {},
  ): Promise<BrowserAnswer> {
    const { fields = {}, ...rest } = options;
    return this.navigate(url, {
      method: 'POST',
      from: this.#origin,
      body: new URLSearchParams(fields).toString(),
      ...rest,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...rest.headers },
    });
  }

  /** An image or a frame of a page on `from`. */
  embed(url: string | URL, dest: 'image' | 'iframe', from: Initiator): Promise<BrowserAnswer> {
    return this.#send(url, { from }, { mode: dest === 'image' ? 'no-cors' : 'navigate', dest });
  }

  async #send(target: string | URL, options: RequestOptions, marks: Marks): Promise<BrowserAnswer> {
    const url = new URL(target, this.#origin);
    if (url.origin !== this.#origin) throw new Error(`This browser only knows ${this.#origin}, not ${url.origin}`);
    const { method = 'GET', from = this.#origin } = options;
    const isSameSite = from === 'typed' || siteOf(from) === siteOf(url.origin);
    const cookie = this.jar.headerFor(url, {
      isSameSite,
      isTopLevelRead: marks.dest === 'document' && (method === 'GET' || method === 'HEAD'),
    });
    const hasOrigin =
      from !== 'typed' && ((method !== 'GET' && method !== 'HEAD') || (marks.mode === 'cors' && from !== url.origin));
    const headers = {
      host: url.host,
      'user-agent': 'Mozilla/5.0 (a model of a browser)',
      accept: marks.mode === 'navigate' ? 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8' : '*/*',
      'sec-fetch-site':
        from === 'typed' ? 'none' : from === url.origin ? 'same-origin' : isSameSite ? 'same-site' : 'cross-site',
      'sec-fetch-mode': marks.mode,
      'sec-fetch-dest': marks.dest,
      ...(hasOrigin ? { origin: from } : {}),
      ...(cookie === '' ? {} : { cookie }),
      ...options.headers,
    };
    const answer = await request(`${this.#address}${url.pathname}${url.search}`, {
      method: method as 'GET',
      headers,
      ...(options.body === undefined ? {} : { body: options.body }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const body = await answer.body.text();
    this.received.push(`${answer.statusCode} ${JSON.stringify(answer.headers)}`, body);
    const setCookies = [answer.headers['set-cookie'] ?? []].flat();
    for (const line of setCookies) this.jar.store(url, line);
    return {
      url,
      status: answer.statusCode,
      headers: answer.headers,
      body,
      leadsTo: undefined,
      json: () => JSON.parse(body),
      setCookies,
    };
  }
}
