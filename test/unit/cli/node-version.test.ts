import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { refusalOf } from '../../../src/cli/node-version.ts';

test.each(['24.18.1', '24.21.0', '26.5.1', '26.6.0', '27.0.0', 'v24.18.1'])('Node %s may run Postern', (version) => {
  expect(refusalOf(version)).toBeUndefined();
});

test.each(['24.18.0', '24.2.9', '26.5.0', '26.0.0'])('Node %s lacks security fixes and is refused', (version) => {
  expect(refusalOf(version)).toBe(
    `Node ${version} lacks the security fixes of July 2026; use 24.18.1, 26.5.1 or a later release of one of these lines`,
  );
});

test.each(['18.20.8', '20.20.2', '21.7.3', '22.23.2', '22.24.0', '23.11.1', '25.9.0', '0.10.0', 'nonsense'])(
  'Node %s is of a line that is not supported and is refused',
  (version) => {
    expect(refusalOf(version)).toBe(
      `Node ${version} is not supported; use 24.18.1, 26.5.1 or a later release of one of these lines`,
    );
  },
);

test('package.json asks for the same versions of Node', () => {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const { engines } = JSON.parse(text) as { engines: { node: string } };
  const accepted = /use (.*) or a later/.exec(refusalOf('0.0.0') ?? '')?.[1]?.split(', ');
  expect(engines.node.match(/\d+\.\d+\.\d+/g)).toEqual(accepted);
});
