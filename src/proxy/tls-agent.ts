// TLS to an upstream with an authority or a client certificate of its own (RFC 5280, RFC 9525). The files are followed: connections that stand stay,
// new ones are made with what the files hold now, and what cannot be used changes nothing.
import { readFileSync } from 'node:fs';
import type http from 'node:http';
import https from 'node:https';
import { createSecureContext } from 'node:tls';
import { readPems, tlsFlaw } from '../config/pem.ts';
import { reasonFor } from '../config/read-secret.ts';
import { watchFiles } from '../config/watched-files.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Upstream } from './routes.ts';

export interface UpstreamAgent {
  readonly agent: http.Agent;
  /** Looks at its files no more. */
  unfollow: () => void;
}

const pollMs = 30_000;

/** @throws when the files cannot be used at the start */
export function createTlsAgent(
  tls: NonNullable<Upstream['tls']>,
  { settings, log }: { settings: https.AgentOptions; log: Logger },
): UpstreamAgent {
  const files = [tls.ca, tls.cert, tls.key].flatMap((part) => part?.file ?? []);
  const agent = new https.Agent({
    ...settings,
    ...(tls.serverName !== undefined && { servername: tls.serverName }),
    // A resumed session is one that was checked once: an authority that has been taken out would live on in it.
    maxCachedSessions: 0,
  });
  let current = readPems(tls, readText);
  let told: string | undefined;
  agent.options.secureContext = createSecureContext(current);

  function problemOf(): string | undefined {
    try {
      const pems = readPems(tls, readText);
      if (isSame(pems, current)) return undefined;
      const flaw = tlsFlaw(pems);
      if (flaw !== undefined) return flaw;
      current = pems;
      agent.options.secureContext = createSecureContext(pems);
      log.info({ files }, 'the TLS files of an upstream have changed');
      return undefined;
    } catch (error) {
      return reasonFor(error);
    }
  }

  function follow(): void {
    const problem = problemOf();
    // Looked at again and again, and told once.
    if (problem !== undefined && problem !== told) {
      log.error(
        { files, problem },
        'the TLS files of an upstream have changed and cannot be used: the former ones stay in use',
      );
    }
    told = problem;
  }

  const watched = files.length === 0 ? undefined : watchFiles({ files, pollMs, onChange: follow });
  return { agent, unfollow: () => watched?.close() };
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

function isSame(one: ReturnType<typeof readPems>, other: ReturnType<typeof readPems>): boolean {
  return one.ca === other.ca && one.cert === other.cert && one.key === other.key;
}
