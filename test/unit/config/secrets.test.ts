import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import { createOriginOf, formatEffective } from '../../../src/config/effective.ts';
import { formatProblem } from '../../../src/config/problem.ts';
import { load, rightSave } from '../../support/config-text.ts';

// Looks like a secret that a password generator makes, and begins with a character that means something in YAML where a case says so.
const canary = 'Zq7canaryW2Q3bIfhV0DdQ8aT1yX5kLmN9pRsUvEwGh=';

function everythingSaid(text: string, env: Record<string, string> = {}): string {
  const outcome = load(text, { env });
  if (outcome.kind === 'invalid') {
    return outcome.problems.map((problem) => `${formatProblem(problem)}\n${inspect(problem)}`).join('\n');
  }
  const { config, warnings, lineOf } = outcome;
  return [
    formatEffective(config),
    formatEffective(config, createOriginOf(config, lineOf)),
    warnings.map((warning) => formatProblem(warning)).join('\n'),
    JSON.stringify(config),
    inspect(config, { depth: null, showHidden: true }),
    `${String(config.provider.clientSecret)} ${String(config.session.keys[0])}`,
  ].join('\n');
}

const provider = (clientSecret: string): string =>
  rightSave(`
provider:
  issuer: https://id.example.com
  clientId: shop
  clientSecret: ${clientSecret}
`);

test.each([
  ['in the file', provider(canary)],
  ['in the file as a key', rightSave(`session: { keys: ["${canary}"] }`)],
  ['as the password of Redis', rightSave(`redis: { url: "redis://user:${canary}@redis" }`)],
  ['as the password of a Redis URL that is wrong', rightSave(`redis: { url: "http://user:${canary}@redis" }`)],
  ['as the password of an upstream', rightSave(`routes: [{ path: /a, upstream: "http://user:${canary}@orders" }]`)],
  ['taken for a list', provider(`[${canary}]`)],
  ['taken for a section', provider(`{ ${canary} }`)],
  ['taken for a section of another shape', provider(`{ value: ${canary} }`)],
  ['with a misspelt form', provider(`{ files: ${canary} }`)],
  ['taken for an alias', provider(`*${canary}`)],
  ['taken for an anchor', provider(`&${canary}`)],
  ['taken for a tag', provider(`!${canary}`)],
  ['behind a reserved character', provider(`@${canary}`)],
  ['with a colon in it', provider(`${canary}: x`)],
  ['with an open quote', provider(`"${canary}`)],
  ['as a key that is too short', rightSave(`session: { keys: [${canary.slice(0, 20)}] }`)],
])('a secret %s is repeated nowhere (SEC-01)', (_where, text) => {
  expect(everythingSaid(text)).not.toContain('canary');
});

test('secrets from the environment are repeated nowhere, be they right or wrong (SEC-01)', () => {
  const env = { CLIENT_SECRET: canary, SESSION_KEY: canary, REDIS_URL: `redis://:${canary}@redis` };
  expect(everythingSaid(rightSave(''), env)).not.toContain('canary');
  expect(everythingSaid(rightSave(''), { ...env, REDIS_URL: canary, SESSION_KEY: `${canary} ` })).not.toContain(
    'canary',
  );
});

test('a number that stands where a secret should is not shown', () => {
  expect(everythingSaid(provider('1234567890'))).not.toContain('1234567890');
});
