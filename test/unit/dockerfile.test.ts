// What the image promises, read off its recipe: nothing here builds it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');
const stages = readFileSync(join(root, 'Dockerfile'), 'utf8')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n\s*/g, '')
  .split(/^(?=FROM )/m)
  .filter((stage) => stage.startsWith('FROM '));
const image = stages.at(-1)!;

test('every stage stands on Node 24', () => {
  expect(stages.map((stage) => stage.split('\n')[0]!.split(' ')[1])).toEqual(stages.map(() => 'node:24-slim'));
});

test('the image runs as a user that is not root, named by number', () => {
  expect(image).toMatch(/^USER [1-9]\d{3,}:[1-9]\d{3,}$/m);
  expect(image.indexOf('USER ')).toBeLessThan(image.indexOf('CMD ["node", "dist/main.js"'));
});

test('the image holds the built program and production dependencies, and neither npm nor sources', () => {
  expect(stages.find((stage) => stage.startsWith('FROM node:24-slim AS dependencies'))).toContain(
    'npm ci --omit=dev --ignore-scripts',
  );
  const copied = Array.from(image.matchAll(/^COPY (.+)$/gm), ([, what]) => what);
  expect(copied).toEqual([
    '--from=dependencies /app/node_modules node_modules',
    '--from=build /app/dist dist',
    'package.json LICENSE ./',
  ]);
  expect(image).toContain('rm -rf /usr/local/lib/node_modules');
  expect(image).not.toMatch(/npm (ci|install)/);
});

test('the health check asks the operations listener where it is by default', () => {
  const [port] = /(?<=prefault\('127\.0\.0\.1:)\d+/.exec(
    readFileSync(join(root, 'src/config/listener-schema.ts'), 'utf8'),
  )!;
  expect(image).toContain(`fetch('http://127.0.0.1:${port}/livez')`);
});

test('everything that is copied from the clone exists and is let through to the builder', () => {
  const allowed = readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1));
  const copied = stages.flatMap((stage) =>
    Array.from(stage.matchAll(/^COPY (?!--from)(.+) \S+$/gm), ([, sources]) => sources!.split(' ')).flat(),
  );
  expect(copied.filter((path) => !existsSync(join(root, path)) || !allowed.includes(path))).toEqual([]);
});
