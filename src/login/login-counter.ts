// Stops redirect loops: counts the logins that one browser starts, in a cookie of its own, so that it costs no store command.
// It protects a browser from an app that sends it round in circles, not us from an attacker: the cookie is not signed.
import type { Request, Response } from 'express';
import { valuesOf } from '../session/cookie-header.ts';
import type { SessionCookie } from '../session/cookie.ts';

export const loginWindowSeconds = 30;
const loginsPerWindow = 5;

export interface LoginCounter {
  /** Counts one login. False when it is one too many within 30 s of the first. */
  count(request: Request, response: Response): boolean;
}

/** `now` is epoch ms. */
export function createLoginCounter(options: { cookie: SessionCookie; now: () => number }): LoginCounter {
  const { cookie, now } = options;
  const name = `${cookie.name}-logins`;
  return {
    count(request, response) {
      const [value = '', ...others] = valuesOf(request.headers.cookie, name);
      const [, startedText, countText] = /^(\d{1,16})\.(\d)$/.exec(value) ?? [];
      const ageMs = now() - Number(startedText);
      const isRunning = others.length === 0 && ageMs >= 0 && ageMs < loginWindowSeconds * 1000;
      const count = isRunning ? Number(countText) + 1 : 1;
      if (count > loginsPerWindow) return false;
      response.cookie(name, `${isRunning ? startedText : now()}.${count}`, {
        path: '/',
        httpOnly: true,
        secure: cookie.attributes.secure,
        sameSite: 'lax',
        maxAge: loginWindowSeconds * 1000,
      });
      return true;
    },
  };
}
