// What is told to those who must know what they run.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { writeSbom } from '../../../scripts/sbom.js';

const root = join(import.meta.dirname, '../../..');

interface Sbom {
  bomFormat: string;
  metadata: { component: { name: string; version: string } };
  components: { name: string; version: string; hashes: { alg: string; content: string }[] }[];
}

test('the bill of materials names every production dependency with its hash, and no other package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-sbom-'));
  try {
    const file = join(folder, 'sbom.json');
    writeSbom(file);
    const sbom = JSON.parse(readFileSync(file, 'utf8')) as Sbom;
    expect(sbom).toMatchObject({ bomFormat: 'CycloneDX', metadata: { component: { name: 'postern' } } });
    const named = sbom.components.map(({ name, version }) => `${name}@${version}`);
    expect(new Set(named)).toEqual(productionPackages());
    expect(sbom.components.filter(({ hashes }) => hashes[0]?.alg !== 'SHA-512')).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function productionPackages(): Set<string> {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string; dev?: boolean }>;
  };
  const production = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  return new Set(production.map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`));
}
