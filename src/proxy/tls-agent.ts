// TLS to upstreams with an authority or a client certificate of their own (RFC 5280, RFC 9525). The files are followed, once for all upstreams that share
// them: connections that stand stay, new ones are made with what the files hold now.
import type http from 'node:http';
import https from 'node:https';
import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { readPems, tlsFlaw } from '../config/pem.ts';
import type { Audit } from '../telemetry/audit.ts';
import { followFiles, readFollowed } from '../telemetry/followed-files.ts';
import type { Upstream } from './routes.ts';

type Tls = NonNullable<Upstream['tls']>;

/** The TLS settings of upstreams, with what their files hold at the moment. */
export interface UpstreamTls {
  /** An agent that makes its connections by them. Throws when the files cannot be used. */
  agentFor(tls: Tls, settings: https.AgentOptions): http.Agent;
  /** Looks no more at files that none of these upstreams names. */
  keepOnly(upstreams: readonly Upstream[]): void;
}

interface Followed {
  /** With what the files hold now. */
  context: () => SecureContext;
  close(): void;
}

export function createUpstreamTls({ audit }: { audit: Audit }): UpstreamTls {
  const kept = new Map<string, Followed>();

  function followedFor(tls: Tls): Followed {
    const key = keyOf(tls);
    const followed = kept.get(key) ?? follow(tls, audit);
    kept.set(key, followed);
    return followed;
  }

  return {
    agentFor(tls, settings) {
      const { context } = followedFor(tls);
      const agent = new https.Agent({
        ...settings,
        ...(tls.serverName !== undefined && { servername: tls.serverName }),
        // A resumed session is one that was checked once: an authority that has been taken out would live on in it.
        maxCachedSessions: 0,
      });
      // Asked for at each connection.
      Object.defineProperty(agent.options, 'secureContext', { get: context, enumerable: true });
      return agent;
    },
    keepOnly(upstreams) {
      const named = new Set(upstreams.flatMap(({ tls }) => (tls === undefined ? [] : keyOf(tls))));
      for (const [key, followed] of kept) {
        if (named.has(key)) continue;
        kept.delete(key);
        followed.close();
      }
    },
  };
}

function keyOf({ ca, cert, key }: Tls): string {
  return JSON.stringify([ca?.file, cert?.file, key?.file]);
}

function follow(tls: Tls, audit: Audit): Followed {
  const read = (): ReturnType<typeof readPems> => readPems(tls, readFollowed);
  const first = read();
  let context = createSecureContext(first);
  const followed = followFiles({
    setting: 'routes.tls',
    files: [tls.ca, tls.cert, tls.key].flatMap((part) => part?.file ?? []),
    current: first,
    read,
    textOf: (pems) => JSON.stringify(pems),
    flawOf: tlsFlaw,
    take: (pems) => void (context = createSecureContext(pems)),
    audit,
  });
  return { context: () => context, close: () => followed.close() };
}
