// `postern sessions`: asks the running Postern of this machine for somebody's sessions, or to end them.
import type { Config } from '../config/schema.ts';
import { loadOrReport } from './configuration.ts';
import type { Terminal } from './configuration.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';

export interface SessionsOptions {
  config: string;
  sub: string;
  iss: string | undefined;
}

/** What the command needs beside the terminal. */
export interface Network {
  fetch: typeof fetch;
}

const methods = { list: 'GET', end: 'DELETE' } as const;
const answerMs = 10_000;

/** Prints one line a session, or how many were ended. */
export async function sessions(
  action: 'list' | 'end',
  options: SessionsOptions,
  terminal: Terminal & Network,
): Promise<ExitCode> {
  const { report } = terminal;
  const loaded = loadOrReport(options.config, terminal);
  if (loaded === undefined) return exitCode.configuration;
  const { operations } = loaded.config;
  if (operations.admin === undefined) {
    report(`postern: ${options.config} has no operations.admin.token, so that sessions are nobody's to ask for`);
    return exitCode.configuration;
  }
  const url = new URL('/admin/sessions', operationsUrl(operations.listen));
  url.searchParams.set('sub', options.sub);
  if (options.iss !== undefined) url.searchParams.set('iss', options.iss);
  const answer = await ask(url, { method: methods[action], token: operations.admin.token.reveal() }, terminal);
  if (typeof answer === 'string') {
    report(`postern: ${answer}`);
    return exitCode.failed;
  }
  terminal.print(tell(answer));
  return exitCode.ok;
}

interface Listed {
  sessions: { handle: string; createdAt?: string; device?: string }[];
}
interface Ended {
  ended: number;
}

async function ask(
  url: URL,
  { method, token }: { method: string; token: string },
  network: Network,
): Promise<Listed | Ended | string> {
  try {
    const headers = { authorization: `Bearer ${token}` };
    const response = await network.fetch(url, { method, headers, signal: AbortSignal.timeout(answerMs) });
    const body = (await response.json()) as Listed | Ended | { error: string };
    return 'error' in body ? `Postern at ${url.origin} answered ${response.status}: ${body.error}` : body;
  } catch {
    return `no Postern answers at ${url.origin} (operations.listen): is it running here, with this configuration?`;
  }
}

function tell(answer: Listed | Ended): string {
  if ('ended' in answer) return `ended: ${answer.ended}\n`;
  if (answer.sessions.length === 0) return 'no sessions\n';
  return answer.sessions
    .map(({ handle, createdAt, device }) =>
      createdAt === undefined ? `${handle}  its record is damaged\n` : `${handle}  ${createdAt}  ${device}\n`,
    )
    .join('');
}

// What listens everywhere is asked on loopback.
function operationsUrl({ host, port }: Config['operations']['listen']): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
