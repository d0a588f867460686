// A person at the provider's own pages, without a browser: follows redirects, fills in forms, keeps the provider's cookies.

export interface VisitOptions {
  /** Who logs in. */
  user?: string;
  /** `<user>-password` unless given. */
  password?: string;
  /** The provider's cookies, kept between visits for single sign-on. A fresh visitor unless given. */
  cookies?: Map<string, string>;
  /** Presses the button that says no, on the consent page. */
  deny?: boolean;
}

/**
 * Goes to a URL of the provider and does what its pages ask, until they send the browser to another origin.
 *
 * @returns that URL, unvisited: the callback after an authorization request, the post-logout URI after a logout
 */
export async function visitProvider(start: string | URL, options: VisitOptions = {}): Promise<URL> {
  const { user = 'alice', cookies = new Map<string, string>(), deny = false } = options;
  const { password = `${user}-password` } = options;
  const { origin } = new URL(start);
  let url = new URL(start);
  let body: URLSearchParams | undefined;
  for (let step = 0; step < 20; step += 1) {
    const response = await fetch(url, {
      method: body === undefined ? 'GET' : 'POST',
      body: body ?? null,
      redirect: 'manual',
      headers: { accept: 'text/html', cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    });
    keepCookies(response, cookies);
    const page = await response.text();
    const location = response.headers.get('location');
    if (location !== null) {
      url = new URL(location, url);
      body = undefined;
      if (url.origin !== origin) return url;
      continue;
    }
    const form = response.ok ? readForm(page) : undefined;
    if (form === undefined)
      throw new Error(`The provider's page has no form (${response.status}): ${page.slice(0, 500)}`);
    url = new URL(form.action, url);
    body = form.fields;
    if (body.has('username')) {
      body.set('username', user);
      body.set('password', password);
    }
    if (deny && body.has('decision')) body.set('decision', 'deny');
  }
  throw new Error('The provider went round in circles');
}

function keepCookies(response: Response, cookies: Map<string, string>): void {
  for (const line of response.headers.getSetCookie()) {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
    if (value === '') cookies.delete(name);
    else cookies.set(name, value);
  }
}

function readForm(page: string): { action: string; fields: URLSearchParams } | undefined {
  const action = /<form[^>]*\saction="([^"]+)"/.exec(page)?.[1];
  if (action === undefined) return undefined;
  const fields = new URLSearchParams();
  let isPressed = false;
  for (const [tag] of page.matchAll(/<(?:input|button)\b[^>]*>/g)) {
    const name = /\sname="([^"]+)"/.exec(tag)?.[1];
    if (name === undefined || fields.has(name)) continue;
    // One button sends a form: the first, as the Enter key does.
    const isButton = /^<button|\stype="submit"/.test(tag);
    if (!isButton || !isPressed) fields.set(name, /\svalue="([^"]*)"/.exec(tag)?.[1] ?? '');
    isPressed ||= isButton;
  }
  return { action: action.replaceAll('&amp;', '&'), fields };
}
