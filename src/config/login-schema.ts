// The sections about the browser's side of a session: its cookie, what a call must show, how a login begins and a logout ends.
import * as z from 'zod';
import { cookieName, duration, ownPath } from './values.ts';

/** What an application may ask of `/bff/login`, once `login.parameters` allows it (OIDC Core 3.1.2.1). */
export const loginParameters = ['prompt', 'login_hint', 'max_age', 'acr_values', 'ui_locales'] as const;

export const cookieSection = z
  .strictObject({
    name: cookieName
      .default('postern')
      .describe('The cookie’s name without its prefix. Two Posterns on one host need different ones.'),
    sameSite: z
      .enum(['strict', 'lax'])
      .default('strict')
      .describe('lax: only for pages rendered behind Postern that must know the user on the first click.'),
    persistent: z.boolean().default(false).describe('true: the cookie outlives the browser, for installed apps.'),
  })
  .prefault({})
  .describe('The session cookie.');

export const csrfSection = z
  .strictObject({
    requireHeader: z.boolean().default(false).describe('true: every call needs X-CSRF: 1, RFC 10017 to the letter.'),
  })
  .prefault({})
  .describe(
    'How a call shows that it comes from this app. The browser’s own Sec-Fetch-Site is enough unless said otherwise.',
  );

export const loginSection = z
  .strictObject({
    errorUrl: ownPath
      .optional()
      .describe('A path of the app that failed logins end on, with ?error=<code>. Without it: a page of Postern’s.'),
    crossSite: z
      .enum(['confirm', 'allow'])
      .default('confirm')
      .describe('A login link on another site: ask first, or go on.'),
    parameters: z
      .array(z.enum(loginParameters))
      .default(['prompt', 'login_hint', 'ui_locales'])
      .describe('Query parameters of /bff/login that are passed to the provider.'),
    maxAge: duration
      .optional()
      .describe(
        'How long ago a person may have logged in at the provider: sent as max_age, and auth_time is checked. Without it the provider decides.',
      ),
  })
  .prefault({})
  .describe('How logins begin and where failed ones end.');

export const logoutSection = z
  .strictObject({
    revoke: z
      .enum(['auto', 'always', 'never'])
      .default('auto')
      .describe(
        'Whether the end of a session revokes its refresh token; auto: yes, save where that hits more than this session.',
      ),
    idTokenHint: z.boolean().default(true).describe('false: the provider is told client_id alone.'),
    returnTo: ownPath.default('/').describe('The path that a logout ends on.'),
    frontChannel: z
      .boolean()
      .default(false)
      .describe('true: the provider may end sessions through a frame in the browser, at /bff/frontchannel-logout.'),
    clearSiteData: z
      .array(z.enum(['cache', 'cookies', 'storage']))
      .default([])
      .describe(
        'What the browser forgets of the app at a logout (Clear-Site-Data). cookies: those of every host under the registrable domain.',
      ),
  })
  .prefault({})
  .describe('What a logout does at the provider, and where it ends.');
