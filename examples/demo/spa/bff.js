// All that this app knows of Postern: where to read the session, what a refused call looks like, how to log out.

/**
 * The session as `/bff/session` tells it. Reading it neither refreshes tokens nor keeps the session alive.
 *
 * @returns {Promise<{ kind: 'session', session: object } | { kind: 'unavailable', retryAfterSeconds: number }>}
 */
export async function readSession() {
  const response = await fetchOrNothing('/bff/session');
  return response?.ok ? { kind: 'session', session: await response.json() } : unavailable(response);
}

/**
 * Calls the API. The browser adds the cookie and, by itself, the mark that the call comes from this origin; nothing else is needed.
 *
 * @returns {Promise<
 *   | { kind: 'answer', status: number, body: object }
 *   | { kind: 'signed-out', code: string, loginUrl: string }
 *   | { kind: 'unavailable', retryAfterSeconds: number }
 * >}
 */
export async function callApi(path, options) {
  const response = await fetchOrNothing(path, options);
  if (response === undefined) return unavailable();
  const body = await response.json().catch(() => ({}));
  // A problem of Postern's has a code; an answer of the API's own, a 401 among them, has not.
  const code = response.headers.get('content-type')?.startsWith('application/problem+json') ? body.code : undefined;
  if (code === 'session_required' || code === 'session_expired') {
    return { kind: 'signed-out', code, loginUrl: body.loginUrl ?? '/bff/login' };
  }
  if (code !== undefined && response.status >= 500) return unavailable(response);
  return { kind: 'answer', status: response.status, body };
}

/** Ends the session. Gives where to go next: the provider, which may want to end its own. */
export async function logOut() {
  const response = await fetchOrNothing('/bff/logout', { method: 'POST' });
  return response?.ok ? { kind: 'logged-out', ...(await response.json()) } : unavailable(response);
}

function unavailable(response) {
  return { kind: 'unavailable', retryAfterSeconds: Number(response?.headers.get('retry-after') ?? 5) };
}

async function fetchOrNothing(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    return undefined;
  }
}
