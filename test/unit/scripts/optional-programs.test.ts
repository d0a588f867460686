// What the suite does without on a machine that cannot have it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const script = new URL('../../../scripts/optional-programs.js', import.meta.url).href;

test('a machine without Python and Debian’s tools runs the tests, is told what they are not run against, and keeps no pieces', () => {
  const nothing = mkdtempSync(join(tmpdir(), 'postern-programs-'));
  try {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '--eval', `import { fetchOptionalPrograms } from '${script}'; fetchOptionalPrograms();`],
      { env: { PATH: nothing, HOME: nothing }, encoding: 'utf8' },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const told = Array.from(stdout.matchAll(/^test: NOT run against (\w+): /gm), ([, name]) => name);
    expect(told).toEqual(['Envoy', 'Valkey', 'Traefik']);
    expect(readdirSync(join(nothing, '.cache/postern/bin'))).toEqual([]);
  } finally {
    rmSync(nothing, { recursive: true });
  }
});
