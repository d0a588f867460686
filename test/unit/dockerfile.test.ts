// What the image promises, read off its recipe; test/integration/image.test.ts carries it out.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parseCopy, parsePairs, readDockerfile, saidBy } from '../support/dockerfile.ts';

const root = join(import.meta.dirname, '../..');
const stages = readDockerfile();
const image = stages.at(-1)!;
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
  license: string;
  devDependencies: Record<string, string>;
};

test('the image has the very Node that the suite runs on', () => {
  const bases = stages.slice(0, -1).map(({ base }) => base);
  expect(bases).toEqual(bases.map(() => `node:${manifest.devDependencies['node']}-trixie-slim`));
  expect(saidBy(image, 'COPY')).toContain('--from=build /usr/local/bin/node /usr/local/bin/node');
});

test('the image stands on one without a shell, of the same Debian, and runs nothing while it is built', () => {
  expect(image.base).toBe('gcr.io/distroless/cc-debian13:nonroot');
  expect(saidBy(image, 'RUN')).toEqual([]);
});

test('nothing needs a shell: the program is process 1 and gets its signals', () => {
  expect(saidBy(image, 'CMD')).toEqual(['["node", "dist/main.js", "serve"]']);
  expect(saidBy(image, 'HEALTHCHECK')[0]).toMatch(/ CMD \["node", "-e", ".+"\]$/);
  expect(saidBy(image, 'ENTRYPOINT')).toEqual([]);
});

test('the image runs as a user that is not root, named by number', () => {
  expect(saidBy(image, 'USER')).toEqual([expect.stringMatching(/^[1-9]\d{4,}:[1-9]\d{4,}$/)]);
});

test('the image holds the built program and production dependencies, and neither npm nor sources', () => {
  const dependencies = stages.find(({ name }) => name === 'dependencies')!;
  expect(saidBy(dependencies, 'RUN')[0]).toBe('npm ci --omit=dev --ignore-scripts');
  expect(saidBy(image, 'COPY').slice(1)).toEqual([
    '--from=dependencies /app/node_modules node_modules',
    '--from=build /app/dist dist',
    'package.json LICENSE ./',
  ]);
});

test('the health check asks the operations listener where it is by default', () => {
  const [port] = /(?<=prefault\('127\.0\.0\.1:)\d+/.exec(
    readFileSync(join(root, 'src/config/listener-schema.ts'), 'utf8'),
  )!;
  expect(saidBy(image, 'HEALTHCHECK')[0]).toContain(`'http://127.0.0.1:${port}/livez'`);
});

test('the labels say which version this is, under which licence, on which base', () => {
  expect(parsePairs(saidBy(image, 'LABEL'))).toMatchObject({
    'org.opencontainers.image.title': 'Postern',
    'org.opencontainers.image.version': manifest.version,
    'org.opencontainers.image.licenses': manifest.license,
    'org.opencontainers.image.base.name': image.base,
    'org.opencontainers.image.revision': '$REVISION',
  });
});

test('everything that is copied from the clone exists and is let through to the builder', () => {
  const allowed = readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1));
  const copied = stages
    .flatMap((stage) => saidBy(stage, 'COPY').map(parseCopy))
    .filter(({ from }) => from === undefined)
    .flatMap(({ sources }) => sources);
  expect(copied).toContain('src');
  expect(copied.filter((path) => !existsSync(join(root, path)) || !allowed.includes(path))).toEqual([]);
});
