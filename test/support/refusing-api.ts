// An API that says 401 to tokens that we thought good, Postern in front of it on a clock of the test's, and how often tokens were refreshed for it.
import type { ServerResponse } from 'node:http';
import type { Provider, RefreshOutcome } from '../../src/oidc/provider.ts';
import type { Tokens } from '../../src/oidc/token-set.ts';
import { accessToken, idToken, startGate } from './gate.ts';
import type { Gate } from './gate.ts';
import { RecordingUpstream } from './upstream.ts';
import type { ReceivedRequest } from './upstream.ts';

export interface RefusingApi {
  upstream: RecordingUpstream;
  gate: Gate;
  /** Of a user with the role `admin`, whose tokens are older than a minute. */
  cookie: string;
  refreshes: number;
  /** What the provider does with a refresh: new tokens, unless a test says otherwise. */
  answerRefresh: Provider['refresh'];
  wait(ms: number): void;
  bearers(): (string | undefined)[];
  received(): ReceivedRequest[];
  /** Whatever was in place at the login is refused; the body of what is taken comes back. So it begins. */
  refuseOldToken(challenge?: string): void;
  refuseAll(challenge?: string): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startRefusingApi(): Promise<RefusingApi> {
  const upstream = await RecordingUpstream.start();
  let clock = Date.now();
  const gate = await startGate(
    {
      routes: [
        { path: '/api', upstream: upstream.url },
        { path: '/other', upstream: upstream.url },
        { path: '/id', upstream: upstream.url, token: 'id' },
        { path: '/bare', upstream: upstream.url, token: 'none' },
        { path: '/optional', upstream: upstream.url, auth: 'optional' },
        { path: '/admins', upstream: upstream.url, require: { role: ['admin'] } },
        { path: '/stepping', upstream: upstream.url, stepUp: { acrValues: ['gold'], maxAge: true } },
      ],
    },
    {
      now: () => clock,
      refreshTokens: (tokens, signal) => {
        api.refreshes += 1;
        return api.answerRefresh(tokens, signal);
      },
    },
  );
  const api: RefusingApi = {
    upstream,
    gate,
    cookie: await gate.signIn({ role: 'admin' }),
    refreshes: 0,
    answerRefresh: (tokens) =>
      refreshed({ ...tokens, accessToken: `new-${api.refreshes}`, idToken: `id-${api.refreshes}` }),
    wait: (ms) => void (clock += ms),
    bearers: () => upstream.requests.map(({ headers }) => headers.authorization),
    received: () => upstream.requests,
    refuseOldToken(challenge) {
      upstream.answer = ({ headers }, response, body) => {
        const isOld = [`Bearer ${accessToken}`, `Bearer ${idToken}`].includes(headers.authorization ?? '');
        if (isOld) refuse(response, challenge);
        else response.end(body);
      };
    },
    refuseAll(challenge) {
      upstream.answer = (_, response) => refuse(response, challenge);
    },
    async [Symbol.asyncDispose]() {
      await gate.stop();
      await upstream.stop();
    },
  };
  api.wait(120_000);
  api.refuseOldToken();
  return api;
}

export function refreshed(tokens: Tokens): Promise<RefreshOutcome> {
  const brought = { ...tokens, expiresInMs: 3_600_000, refreshExpiresInMs: undefined };
  return Promise.resolve({ kind: 'refreshed', tokens: brought, unverifiedIdToken: undefined });
}

/** An empty challenge is none. */
export function refuse(response: ServerResponse, challenge = 'Bearer error="invalid_token"'): void {
  response.writeHead(401, {
    'content-type': 'application/json',
    ...(challenge === '' ? {} : { 'www-authenticate': challenge }),
  });
  response.end('{"from":"upstream"}');
}
