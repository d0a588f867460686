// What is measured side by side: every variant is a proxy in a process of its own, in front of the same upstream, asked for the same JSON.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { freePort } from '../support/free-port.ts';
import { cookiesOf } from '../support/signed-in.ts';
import { until } from '../support/until.ts';
import type { Load } from './load.ts';
import type { Cpus } from './processes.ts';
import { onPath, startProcess, startScript } from './processes.ts';

export interface Variant extends Load {
  name: string;
  /** The process that is charged, with its children. */
  pid: number;
  usesRedis: boolean;
  /** Whether the upstream must be given a Bearer token; undefined where no request gets there. */
  bearer: boolean | undefined;
}

export interface Running {
  variants: Variant[];
  stop: () => Promise<void>;
}

/** Sent to every variant alike, as a browser's fetch would. */
export const fetchHeaders = {
  accept: 'application/json',
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'accept-encoding': 'gzip, deflate, br, zstd',
  'accept-language': 'en-GB,en;q=0.9',
  'sec-fetch-site': 'same-origin',
  'sec-fetch-mode': 'cors',
  'sec-fetch-dest': 'empty',
};

const plain = { headers: fetchHeaders, status: 200, usesRedis: false, bearer: false } as const;

export async function startBare(cpus: Cpus, upstreamUrl: string): Promise<Record<'baseline' | 'httpRequest', Running>> {
  const library = await startScript(cpus, 'peers/bare-http-proxy-middleware.ts', [upstreamUrl]);
  const own = await startScript(cpus, 'peers/bare-http-request.ts', [upstreamUrl]);
  const running = (name: string, { port, pid, stop }: typeof own): Running => ({
    variants: [{ ...plain, name, pid, url: `http://127.0.0.1:${port}/api/x` }],
    stop,
  });
  return {
    baseline: running('bare http-proxy-middleware', library),
    httpRequest: running('bare http.request', own),
  };
}

export async function startObviousBuild(cpus: Cpus, upstreamUrl: string, redisUrl: string): Promise<Running> {
  const { port, pid, stop } = await startScript(cpus, 'peers/obvious-build.ts', [upstreamUrl, redisUrl]);
  const login = await request(`http://127.0.0.1:${port}/login`, { method: 'POST' });
  await login.body.dump();
  const cookie = cookiesOf(login.headers['set-cookie']).join('; ');
  const url = `http://127.0.0.1:${port}/api/x`;
  return {
    variants: [
      {
        ...plain,
        name: 'the obvious build',
        pid,
        url,
        headers: { ...fetchHeaders, cookie },
        usesRedis: true,
        bearer: true,
      },
    ],
    stop,
  };
}

/** nginx as a plain proxy with one worker, or undefined where it is not installed. */
export async function startNginx(cpus: Cpus, upstreamUrl: string): Promise<Running | undefined> {
  const nginx = onPath('nginx');
  if (nginx === undefined) return undefined;
  const directory = await mkdtemp(join(tmpdir(), 'postern-bench-nginx-'));
  const port = await freePort();
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/${name};`,
  );
  await writeFile(
    join(directory, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${directory}/pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000; ${places.join(' ')}
  upstream api { server ${new URL(upstreamUrl).host}; keepalive 64; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}`,
  );
  const child = startProcess(cpus, nginx, ['-e', 'stderr', '-c', join(directory, 'nginx.conf')]);
  const url = `http://127.0.0.1:${port}/api/x`;
  await until(() => answers(url));
  return {
    variants: [{ ...plain, name: 'nginx, plain', pid: child.pid, url }],
    async stop() {
      await child.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Asks once, and throws unless the answer is what the variant promises: otherwise the wrong thing would be measured. */
export async function checkAnswer({ name, url, headers, status, bearer }: Variant): Promise<void> {
  const { statusCode, body } = await request(url, { headers });
  const text = await body.text();
  if (statusCode !== status) throw new Error(`${name}: status ${statusCode} instead of ${status}: ${text}`);
  if (bearer !== undefined && (JSON.parse(text) as { bearer: boolean }).bearer !== bearer) {
    throw new Error(`${name}: the upstream ${bearer ? 'got no' : 'got a'} Bearer token`);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await request(url)).body.dump();
    return true;
  } catch {
    return false;
  }
}
