// The image's file tree without an image builder: the instructions of the Dockerfile, carried out in a folder for each stage.
// Only base images are stood in for: by this machine's npm and by the Node and the C library that this process runs on.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, cp, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Stage } from './dockerfile.ts';
import { parseCopy, parsePairs, readDockerfile, saidBy } from './dockerfile.ts';

const clone = join(import.meta.dirname, '../..');

export interface Image {
  /** Where its `/` is. */
  root: string;
  workingDirectory: string;
  environment: Record<string, string>;
  user: number;
  group: number;
  command: string[];
  healthCheck: string[];
  remove(): Promise<void>;
}

/** Builds the last stage and what it copies from. Asks the registry only for what npm's cache does not hold. */
export async function buildImage(): Promise<Image> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-image-'));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    // mkdtemp's own mode shuts out the user that the image runs as.
    await chmod(directory, 0o755);
    return { ...(await buildIn(directory)), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function buildIn(directory: string): Promise<Omit<Image, 'remove'>> {
  const stages = readDockerfile();
  const rootOf = (stage: Stage): string => join(directory, stage.name ?? 'image');
  for (const stage of stages) {
    const from = (name: string): string => rootOf(stages.find((other) => other.name === name)!);
    await buildStage(stage, rootOf(stage), from);
  }
  const image = stages.at(-1)!;
  const [user, group] = saidBy(image, 'USER').at(-1)!.split(':').map(Number);
  return {
    root: rootOf(image),
    workingDirectory: saidBy(image, 'WORKDIR').at(-1)!,
    environment: parsePairs(saidBy(image, 'ENV')),
    user: user!,
    group: group!,
    command: JSON.parse(saidBy(image, 'CMD').at(-1)!) as string[],
    healthCheck: JSON.parse(/\[.*$/.exec(saidBy(image, 'HEALTHCHECK').at(-1)!)![0]) as string[],
  };
}

async function buildStage(stage: Stage, root: string, from: (name: string) => string): Promise<void> {
  await (stage.base.startsWith('node:') ? layNode(root) : layLibraries(root));
  let workingDirectory = '/';
  for (const { name, rest } of stage.instructions) {
    switch (name) {
      case 'WORKDIR':
        workingDirectory = rest;
        await mkdir(join(root, rest), { recursive: true });
        break;
      case 'COPY': {
        const { sources, target, ...copy } = parseCopy(rest);
        const origin = copy.from === undefined ? clone : from(copy.from);
        await copyAll(
          sources.map((source) => join(origin, source)),
          { path: join(root, resolve(workingDirectory, target)), isFolder: target.endsWith('/') },
        );
        break;
      }
      case 'RUN':
        await runIn(join(root, workingDirectory), rest);
        break;
      case 'ARG':
      case 'LABEL':
      case 'ENV':
      case 'USER':
      case 'EXPOSE':
      case 'HEALTHCHECK':
      case 'CMD':
        break;
      default:
        throw new Error(`What ${name} of the Dockerfile makes of the file tree is not known here`);
    }
  }
}

// A folder's content goes into the target, a file into it or in its place.
async function copyAll(sources: string[], target: { path: string; isFolder: boolean }): Promise<void> {
  await mkdir(target.isFolder ? target.path : dirname(target.path), { recursive: true });
  for (const source of sources) {
    const into =
      target.isFolder && (await stat(source)).isFile() ? join(target.path, source.split('/').at(-1)!) : target.path;
    await cp(source, into, { recursive: true, verbatimSymlinks: true });
  }
}

async function runIn(directory: string, line: string): Promise<void> {
  // Without a root of its own, an absolute path would be this machine's.
  if (/(^|\s)\//.test(line)) throw new Error(`RUN ${line}: not to be tried out here`);
  // npm tells its children which folder is theirs, and the jobs of the clone are npm's children.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(npm_(?!config_(cache|registry|userconfig)$)|INIT_CWD)/i.test(name),
  );
  const env = { ...Object.fromEntries(inherited), npm_config_prefer_offline: 'true' };
  const child = spawn('/bin/sh', ['-c', line], { cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`RUN ${line} ended with ${code}:\n${output.join('')}`);
}

// Stands for the `node` image, of which nothing but its Node goes further.
async function layNode(root: string): Promise<void> {
  await place(root, '/usr/local/bin/node', process.execPath);
}

// Stands for the distroless image: the C library, as this process has it loaded, and who is called what.
async function layLibraries(root: string): Promise<void> {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  for (const path of sharedObjects.filter((object) => object.startsWith('/'))) await place(root, path, path);
  await Promise.all(
    ['etc', 'proc', 'run', 'sys', 'tmp'].map((folder) => mkdir(join(root, folder), { recursive: true })),
  );
  await writeFile(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
}

async function place(root: string, path: string, source: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await copyFile(source, join(root, path));
}
