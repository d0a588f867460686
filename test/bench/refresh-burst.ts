// A thousand calls on one token, on two Posterns that share a Redis: how long the last caller waits after the provider has answered the one refresh.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { freePort } from '../support/free-port.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { benchConfig, startPosternChild } from './postern.ts';
import type { Build, PosternChild } from './postern.ts';
import type { Cpus } from './processes.ts';
import { fetchHeaders } from './variants.ts';

const calls = 1000;
const accessTokenTtlSeconds = 3;

export interface Burst {
  /** How long the token endpoint took. */
  tokenEndpointMs: number;
  /** Token calls that the provider saw. */
  refreshes: number;
  failures: number;
  /** From the end of the token endpoint's answer to the last caller's answer; each call still has to be forwarded in that time. */
  lastAnswerMs: number;
  /** The same calls at once with a fresh token: from the first one sent to the last answer. */
  freshBurstMs: number;
}

export interface BurstOptions {
  cpus: Cpus;
  build: Build;
  redisUrl: string;
  upstreamUrl: string;
  /** One burst for each. */
  tokenEndpointsMs: readonly number[];
}

export async function measureRefreshBursts(options: BurstOptions): Promise<Burst[]> {
  const { cpus, build, redisUrl, upstreamUrl } = options;
  const provider = await startRealProvider({ accessTokenTtlSeconds, rotate: true });
  const config = benchConfig(await freePort(), provider, upstreamUrl, { redis: { url: redisUrl } });
  const posterns = [await startPosternChild(cpus, build, config), await startPosternChild(cpus, build, config)];
  const alice = await signIn(posterns[0]!, provider);
  const refreshes = () => provider.endpoints.seen('token', 'refresh_token').length;
  const callers = createCallers(posterns, alice);
  try {
    const bursts: Burst[] = [];
    // Once unseen, so that the code is warm and the connections stand.
    for (const tokenEndpointMs of [50, ...options.tokenEndpointsMs]) {
      await pause(accessTokenTtlSeconds * 1000 + 200);
      provider.endpoints.behaviours.token.delayMs = tokenEndpointMs;
      const refreshesBefore = refreshes();
      const tokenAnswers = watchTokenAnswers(provider);
      const expired = await callers.callAtOnce();
      const tokenAnswerAt = tokenAnswers.stop();
      const refreshesSeen = refreshes() - refreshesBefore;
      const sentAt = performance.now();
      const fresh = await callers.callAtOnce();
      bursts.push({
        tokenEndpointMs,
        refreshes: refreshesSeen,
        failures: expired.failures + fresh.failures,
        lastAnswerMs: expired.lastAnswerAt - tokenAnswerAt,
        freshBurstMs: fresh.lastAnswerAt - sentAt,
      });
    }
    return bursts.slice(1);
  } finally {
    await callers.close();
    await Promise.all(posterns.map((postern) => postern.stop()));
    await provider.close();
  }
}

function createCallers(posterns: readonly PosternChild[], { cookie }: SignedIn) {
  const agent = new Agent({ pipelining: 1 });

  async function callOnce({ address, publicUrl }: PosternChild): Promise<number> {
    const headers = { ...fetchHeaders, host: new URL(publicUrl).host, cookie };
    const { statusCode, body } = await request(`${address}/api/x`, { dispatcher: agent, headers });
    await body.dump();
    return statusCode;
  }

  return {
    async callAtOnce() {
      const answers = await Promise.all(
        Array.from({ length: calls }, (_, index) => callOnce(posterns[index % posterns.length]!)),
      );
      return { failures: answers.filter((status) => status !== 200).length, lastAnswerAt: performance.now() };
    },
    close: () => agent.close(),
  };
}

// The provider lives in this process, and Node tells when one of its answers is written.
function watchTokenAnswers(provider: RealProvider) {
  const port = Number(new URL(provider.issuer).port);
  let lastAt = NaN;
  const notice = (message: unknown): void => {
    const { request: asked, server } = message as { request: IncomingMessage; server: Server };
    if (asked.url === '/token' && (server.address() as AddressInfo).port === port) lastAt = performance.now();
  };
  subscribe('http.server.response.finish', notice);
  return {
    stop(): number {
      unsubscribe('http.server.response.finish', notice);
      return lastAt;
    },
  };
}
