// A real Vite development server with an app of ours, in a directory of its own so that a test may edit the files.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'vite';
import { freePort } from './free-port.ts';

export interface DevServer {
  url: string;
  /** Replaces a piece of text in a file of the app, as its author would. */
  edit(file: string, from: string, to: string): Promise<void>;
  stop(): Promise<void>;
}

/** Starts Vite on loopback. It knows nothing of what stands in front of it: no host, no port, no origin is configured. */
export async function startDevServer(app: string): Promise<DevServer> {
  const root = await mkdtemp(join(tmpdir(), 'postern-vite-'));
  await cp(app, root, { recursive: true });
  const port = await freePort();
  const vite = await createServer({
    root,
    configFile: false,
    envFile: false,
    logLevel: 'silent',
    cacheDir: join(root, '.vite'),
    server: { host: '127.0.0.1', port, strictPort: true },
  });
  await vite.listen();
  return {
    url: `http://127.0.0.1:${port}`,
    async edit(file, from, to) {
      const path = join(root, file);
      await writeFile(path, (await readFile(path, 'utf8')).replace(from, to));
    },
    async stop() {
      await vite.close();
      await rm(root, { recursive: true });
    },
  };
}
