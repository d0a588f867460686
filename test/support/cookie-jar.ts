// The cookies of a browser model (RFC 6265bis sections 5.5 to 5.8, with the __Http- prefixes of its successor). Refuses what browsers refuse.

interface StoredCookie {
  name: string;
  value: string;
  host: string;
  path: string;
  secure: boolean;
  httpOnly: boolean;
  sameSite: 'strict' | 'lax' | 'none';
  /** Epoch ms; undefined until the browser closes. */
  expiresAt: number | undefined;
}

export class CookieJar {
  #cookies: StoredCookie[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Takes one Set-Cookie line. Nothing happens when a browser would refuse it. */
  store(url: URL, line: string): void {
    const [pair = '', ...rest] = line.split(';').map((part) => part.trim());
    const equals = pair.indexOf('=');
    const [name, value] = [pair.slice(0, equals), pair.slice(equals + 1)];
    const attributes = new Map(
      rest.map((part) => [part.split('=', 1)[0]!.toLowerCase(), part.split('=').slice(1).join('=')]),
    );
    const [secure, httpOnly] = [attributes.has('secure'), attributes.has('httponly')];
    if (equals < 1 || name.length + value.length > 4096 || attributes.has('domain')) return;
    if (secure && !isTrustworthy(url)) return;
    if (/^__(secure|host|http)-/i.test(name) && !secure) return;
    if (/^__host-/i.test(name) && attributes.get('path') !== '/') return;
    if (/^__(host-)?http-/i.test(name) && !httpOnly) return;
    const path = attributes.get('path') ?? url.pathname.replace(/(?<=.)\/[^/]*$/, '');
    this.#cookies = this.#cookies.filter(
      (kept) => kept.name !== name || kept.host !== url.hostname || kept.path !== path,
    );
    const expiresAt = expiryOf(attributes, this.#now());
    if (expiresAt !== undefined && expiresAt <= this.#now()) return;
    const sameSite = attributes.get('samesite')?.toLowerCase();
    this.#cookies.push({
      name,
      value,
      host: url.hostname,
      path,
      secure,
      httpOnly,
      sameSite: sameSite === 'strict' || sameSite === 'none' ? sameSite : 'lax',
      expiresAt,
    });
  }

  /** The Cookie header of a request; empty when nothing may be sent. */
  headerFor(url: URL, request: { isSameSite: boolean; isTopLevelRead: boolean }): string {
    return this.#live()
      .filter(
        (cookie) => cookie.host === url.hostname && `${url.pathname}/`.startsWith(cookie.path.replace(/\/?$/, '/')),
      )
      .filter((cookie) => !cookie.secure || isTrustworthy(url))
      .filter(
        ({ sameSite }) => request.isSameSite || sameSite === 'none' || (sameSite === 'lax' && request.isTopLevelRead),
      )
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }

  names(): string[] {
    return this.#live().map(({ name }) => name);
  }

  get(name: string): Readonly<StoredCookie> | undefined {
    return this.#live().find((cookie) => cookie.name === name);
  }

  /** What a person does in the browser's settings. */
  delete(which: (name: string) => boolean): void {
    this.#cookies = this.#cookies.filter(({ name }) => !which(name));
  }

  #live(): StoredCookie[] {
    return this.#cookies.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > this.#now());
  }
}

/** Scheme and registrable domain, for the names that tests use: the last two labels, or the whole of an address and of `localhost`. */
export function siteOf(origin: string): string {
  const { protocol, hostname } = new URL(origin);
  const isAddress = /^[\d.]+$|^\[/.test(hostname);
  return `${protocol}//${isAddress ? hostname : hostname.split('.').slice(-2).join('.')}`;
}

function isTrustworthy(url: URL): boolean {
  return url.protocol === 'https:' || url.hostname === 'localhost' || url.hostname.startsWith('127.');
}

// Max-Age wins over Expires.
function expiryOf(attributes: Map<string, string>, now: number): number | undefined {
  const maxAge = attributes.get('max-age');
  if (maxAge !== undefined) return now + Number(maxAge) * 1000;
  const expires = attributes.get('expires');
  return expires === undefined ? undefined : Date.parse(expires);
}
