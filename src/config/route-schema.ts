// One entry of `routes`: a path prefix of the public origin, and what happens to requests under it.
import * as z from 'zod';
import { cookieName, httpUrl, routePath, timeLimit } from './values.ts';

/** The methods that are proxied at all. */
export const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

export const route = z.strictObject({
  path: routePath.describe('The path prefix, on segment boundaries: /api does not match /apixyz. The longest wins.'),
  upstream: httpUrl.describe('Where matching requests go. A path in it is put in front.'),
  auth: z
    .enum(['required', 'optional', 'none'])
    .default('required')
    .describe(
      'required: 401 without a session; optional: goes through without a token; none: never a token, never a look at the store.',
    ),
  token: z
    .enum(['access', 'id', 'none'])
    .default('access')
    .describe('Which token the upstream gets; with auth: none it gets none.'),
  stripPath: z.boolean().default(false).describe('Take the route’s own path off before the request is sent on.'),
  methods: z
    .array(z.enum(methods))
    .min(1)
    .default([...methods])
    .describe('Methods that pass; others get 405.'),
  csrf: z
    .strictObject({
      typedUrl: z
        .boolean()
        .default(false)
        .describe('GET and HEAD navigations typed into the address bar pass (Sec-Fetch-Site: none).'),
      navigation: z
        .boolean()
        .default(false)
        .describe(
          'Navigations need no X-CSRF header even where csrf.requireHeader asks for it: downloads, printed pages.',
        ),
    })
    .prefault({}),
  cookies: z
    .strictObject({
      request: z
        .array(cookieName)
        .default([])
        .describe('Cookies that are passed to the upstream; all others stay here.'),
      response: z.array(cookieName).default([]).describe('Cookies that the upstream may set; all others are dropped.'),
    })
    .prefault({}),
  cache: z
    .enum(['private', 'upstream'])
    .default('private')
    .describe(
      'private: answers without Cache-Control become no-store, public ones private; upstream: left as they come.',
    ),
  encodedSlash: z
    .enum(['reject', 'pass'])
    .default('reject')
    .describe('What happens to %2F in a path. pass: only for an upstream that does not decode it.'),
  activity: z.boolean().default(true).describe('Whether calls on this route keep the session alive.'),
  timeout: z
    .strictObject({
      connect: timeLimit.prefault('5s').describe('To connect to the upstream.'),
      headers: timeLimit.prefault('1m').describe('From the request to the head of the answer.'),
      idle: timeLimit.prefault('5m').describe('Between two pieces of the answer.'),
    })
    .prefault({}),
});
