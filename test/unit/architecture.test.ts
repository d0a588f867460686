import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const src = fileURLToPath(new URL('../../src/', import.meta.url));

interface Import {
  from: string;
  to: string;
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const imports: Import[] = files.flatMap((file) =>
  [
    ...readFileSync(join(src, file), 'utf8').matchAll(
      /(?:^|\n)\s*(?:import|export)\b[^;]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)/g,
    ),
  ].map((match) => {
    const specifier = (match[1] ?? match[2])!;
    return {
      from: file,
      to: specifier.startsWith('.') ? relative(src, join(src, dirname(file), specifier)) : specifier,
    };
  }),
);
const internal = imports.filter(({ to }) => to.endsWith('.ts'));
const external = imports.filter(({ to }) => !to.endsWith('.ts') && !to.startsWith('node:'));

/** From the top of the house to its ground; siblings share a floor. */
const floors = [
  ['main'],
  ['cli'],
  ['doctor'],
  ['server'],
  ['reception'],
  ['app'],
  ['handlers'],
  ['parts'],
  ['login', 'proxy'],
  ['http', 'session', 'tokens'],
  ['oidc', 'store'],
  ['telemetry'],
  ['config'],
  ['errors', 'fair-limits'],
];

/** Each third-party library has one owner. */
const owners: Record<string, string[]> = {
  express: ['handlers', 'http', 'login', 'proxy'],
  'express-session': ['session'],
  'connect-redis': ['session'],
  'cookie-signature': ['session'],
  ioredis: ['store'],
  'http-proxy-middleware': ['proxy'],
  'rate-limiter-flexible': ['proxy'],
  negotiator: ['proxy'],
  'openid-client': ['oidc'],
  undici: ['oidc'],
  jose: ['oidc'],
  helmet: ['http'],
  'proxy-addr': ['http'],
  'lru-cache': ['tokens'],
  pino: ['telemetry'],
  'prom-client': ['telemetry'],
  '@opentelemetry': ['telemetry'],
  yaml: ['config'],
  zod: ['config'],
  'fastest-levenshtein': ['config'],
};

const roomOf = (file: string): string => file.split('/')[0]!.replace(/\.ts$/, '');
const floorOf = (file: string): number => floors.findIndex((rooms) => rooms.includes(roomOf(file)));

test('every file stands on a floor of the house', () => {
  expect(files.filter((file) => floorOf(file) === -1)).toEqual([]);
  expect(files.length).toBeGreaterThan(30);
});

test('imports point down: no file knows of what stands above it or beside it', () => {
  const wrong = internal.filter(({ from, to }) => roomOf(from) !== roomOf(to) && floorOf(from) >= floorOf(to));
  expect(wrong).toEqual([]);
});

test('no file imports itself on a detour', () => {
  const next = Map.groupBy(internal, ({ from }) => from);
  const reaches = (start: string, goal: string, seen = new Set<string>()): boolean =>
    (next.get(start) ?? []).some(({ to }) => to === goal || (!seen.has(to) && reaches(to, goal, seen.add(to))));
  expect(files.filter((file) => reaches(file, file))).toEqual([]);
});

test('every third-party library has one owner', () => {
  const wrong = external.filter(
    ({ from, to }) => !(owners[to] ?? owners[to.split('/').slice(0, 1).join('')])?.includes(roomOf(from)),
  );
  expect(wrong).toEqual([]);
});

test('only the configuration and the process itself read the environment', () => {
  const readers = files.filter((file) => readFileSync(join(src, file), 'utf8').includes('process.env'));
  expect(readers.filter((file) => !['config', 'main'].includes(roomOf(file)))).toEqual([]);
});

test('only parts.ts and what is above it read the clock; everybody else is given one', () => {
  const reading = /Date\.now\(|new Date\(\)|performance\.now\(/;
  const readers = files.filter((file) => reading.test(readFileSync(join(src, file), 'utf8')));
  expect(readers.filter((file) => floorOf(file) > floorOf('parts.ts'))).toEqual([]);
});

test('no default exports and no barrels', () => {
  const texts = files.map((file) => ({ file, text: readFileSync(join(src, file), 'utf8') }));
  expect(texts.filter(({ text }) => /^export (default|\*|\{[^}]*\} from)/m.test(text)).map(({ file }) => file)).toEqual(
    [],
  );
});

test('the map names every file of the house in its room, and none that is gone', () => {
  const [, ...rooms] = readFileSync(join(src, 'README.md'), 'utf8').split('\n### ');
  const named = rooms.flatMap((text) => {
    const [heading = ''] = text.split('\n', 1);
    const room = heading.endsWith('/') ? heading : '';
    const lists = text.split('\n').filter((line) => line.startsWith('- ') || line.startsWith('One file for each'));
    return lists.flatMap((line) => [...line.matchAll(/`([a-z][a-z.-]*)`/g)].map(([, name]) => `${room}${name!}.ts`));
  });
  expect(files.filter((file) => !named.includes(file))).toEqual([]);
  expect(named.filter((file) => !files.includes(file))).toEqual([]);
});
