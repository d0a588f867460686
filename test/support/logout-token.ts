// What a provider's server does with a logout token: posts it, without a cookie and without any of a browser's marks.
import { request } from 'undici';
import type { Answer } from './signed-in.ts';
import type { Postern } from './postern.ts';

/** Posts the form to the back-channel logout endpoint; `body` replaces it with other bytes. */
export async function postLogoutToken(
  postern: Postern,
  logoutToken: string,
  { body, headers = {} }: { body?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const answer = await request(`${postern.address}/bff/backchannel-logout`, {
    method: 'POST',
    headers: {
      host: new URL(postern.publicUrl).host,
      'content-type': 'application/x-www-form-urlencoded',
      ...headers,
    },
    body: body ?? new URLSearchParams({ logout_token: logoutToken }).toString(),
  });
  return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
}
