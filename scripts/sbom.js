// `npm run sbom`: what Postern brings with it, as CycloneDX. npm makes it from a lock file that holds production dependencies alone,
// because `npm sbom --omit=dev` also leaves out each of those that a development dependency happens to use as well.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Failure, root } from './process.js';

/** @throws Failure when npm makes none */
export function writeSbom(file) {
  const text = makeSbom();
  if (file === undefined) process.stdout.write(text);
  else writeFileSync(resolve(root, file), text);
}

function makeSbom() {
  const folder = mkdtempSync(join(tmpdir(), 'postern-'));
  try {
    const manifest = { ...readJson('package.json'), devDependencies: {} };
    const lock = readJson('package-lock.json');
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(productionOf(lock)));
    const args = ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'];
    const { status, stdout, stderr } = npm(args, folder);
    if (status !== 0) throw new Failure(`npm sbom ended with ${status}:\n${stderr}`);
    // npm calls an application what its folder is called.
    const sbom = JSON.parse(stdout);
    sbom.metadata.component.name = manifest.name;
    return `${JSON.stringify(sbom, undefined, 2)}\n`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function productionOf(lock) {
  const itself = { ...lock.packages[''], devDependencies: {} };
  const others = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  return { ...lock, packages: { '': itself, ...Object.fromEntries(others) } };
}

function npm(args, cwd) {
  // What npm tells its children about the clone would lead this one back there.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle|config_local)/i.test(name)),
  );
  const cli = process.env.npm_execpath ?? '';
  const [program, first] = cli.endsWith('npm-cli.js') ? [process.execPath, [cli]] : ['npm', []];
  return spawnSync(program, [...first, ...args], { cwd, env, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
}

function readJson(name) {
  return JSON.parse(readFileSync(join(root, name), 'utf8'));
}
