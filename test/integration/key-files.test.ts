// Session keys in files, as people and Kubernetes change them under a running Postern.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createReadSecret } from '../../src/config/read-secret.ts';
import { watchFiles } from '../../src/config/watched-files.ts';
import { createAudit } from '../../src/telemetry/audit.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { followKeyFiles } from '../../src/tokens/key-files.ts';
import { createKeyRing } from '../../src/tokens/key-ring.ts';
import { anotherLook } from '../support/another-look.ts';
import { freePort } from '../support/free-port.ts';
import { baseConfig, startPosternProcess } from '../support/postern.ts';
import { until } from '../support/until.ts';

const newKey = (): string => randomBytes(32).toString('base64');
let directory: string;
const closing: (() => void)[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-keys-'));
});
afterEach(() => {
  closing.splice(0).forEach((close) => close());
  rmSync(directory, { recursive: true });
});

/** A ring that follows the files of these names; they must be there. */
function follow(...names: string[]) {
  const readSecret = createReadSecret({
    readFile: () => newKey(),
    env: {},
  });
  const log: string[] = [];
  const metrics = createMetrics();
  const paths = names.map((name) => join(directory, name));
  const keys = paths.map((file) => readSecret({ file }));
  const ring = createKeyRing({ keys: keys.map((key) => key.reveal()), now: () => 0 });
  const insecure = { httpIssuer: false, httpPublicUrl: false, publicClient: false, weakKey: false };
  const config = { session: { keys }, insecure } as Parameters<typeof followKeyFiles>[0]['config'];
  const logger = createLogger(
    { level: 'info', access: false, format: 'json' },
    { write: (line) => void log.push(line) },
  );
  const audit = createAudit({ log: logger, handleOf: (h) => h });
  const followed = followKeyFiles({ config, ring, metrics, audit });
  closing.push(() => followed.close());
  const reloads = async (outcome: string): Promise<number> =>
    (await metrics.keyReloads.get()).values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0;
  return { ring, log, reloads };
}

const write = (name: string, content: string): void => writeFileSync(join(directory, name), content);
const idOf = (key: string): string => createKeyRing({ keys: [key], now: () => 0 }).signing().id;

test('a key that changed between the reading of the configuration and the start is taken over at once', () => {
  const key = newKey();
  write('key', key);
  expect(follow('key').ring.signing().id).toBe(idOf(key));
});

test('a rewritten file is taken over without a restart, counted, and an audit event that names the files and not what is in them (S-22)', async () => {
  const [first, second, third] = [newKey(), newKey(), newKey()];
  write('current', first);
  write('previous', second);
  const { ring, log, reloads } = follow('current', 'previous');
  const before = await reloads('taken');
  write('previous', first);
  write('current', `${third}\n`);
  await until(() => ring.byId(idOf(third)) !== undefined);
  expect(ring.byId(idOf(first))).toBeDefined();
  await until(() => ring.byId(idOf(second)) === undefined);
  expect(await reloads('taken')).toBeGreaterThan(before);
  expect(JSON.parse(log.at(-1)!)).toMatchObject({
    event: 'files_reloaded',
    setting: 'session.keys',
    files: ['current', 'previous'].map((name) => join(directory, name)),
  });
  expect(log.join('')).not.toContain(third);
});

test('a mounted secret that Kubernetes swaps by its symbolic link is noticed', async () => {
  const [first, second] = [newKey(), newKey()];
  for (const [name, key] of [
    ['..v1', first],
    ['..v2', second],
  ] as const) {
    mkdirSync(join(directory, name));
    write(`${name}/key`, key);
  }
  symlinkSync('..v1', join(directory, '..data'));
  symlinkSync('..data/key', join(directory, 'key'));
  const { ring } = follow('key');
  expect(ring.signing().id).toBe(idOf(first));
  symlinkSync('..v2', join(directory, '..data_tmp'));
  renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  await until(() => ring.signing().id === idOf(second));
});

test.each([
  ['empty', '', 'is empty'],
  ['no base64', 'not a key!', 'session.keys[0] must be base64'],
  ['too short', randomBytes(8).toString('base64'), 'session.keys[0] holds 8 bytes'],
])(
  'a file that is %s changes nothing, is said once and counted; a right one is taken over again',
  async (_what, bad, why) => {
    const [first, second] = [newKey(), newKey()];
    write('key', first);
    const { ring, log, reloads } = follow('key');
    write('key', bad);
    await until(async () => (await reloads('refused')) > 0);
    expect(ring.signing().id).toBe(idOf(first));
    await anotherLook(directory);
    write('key', second);
    await until(() => ring.signing().id === idOf(second));
    const errors = log.filter((line) => line.includes('"event":"files_refused"'));
    expect(errors.filter((line) => line.includes(why))).toHaveLength(1);
    expect(await reloads('refused')).toBe(errors.length);
  },
);

test('a file that is gone changes nothing, and neither does the same key twice', async () => {
  const [first, second] = [newKey(), newKey()];
  write('current', first);
  write('previous', second);
  const { ring, log } = follow('current', 'previous');
  rmSync(join(directory, 'previous'));
  await until(() => log.some((line) => line.includes('previous cannot be read')));
  write('previous', first);
  await until(() => log.some((line) => line.includes('is the same key as session.keys[0]')));
  expect([ring.byId(idOf(first)), ring.byId(idOf(second))]).not.toContain(undefined);
  expect(log.join('')).not.toContain(first);
});

test('a running process takes a changed file over (S-22)', async () => {
  write('key', newKey());
  const registration = { issuer: 'http://localhost:9', clientId: 'shop', clientSecret: 'unused' };
  const session = { keys: [{ file: join(directory, 'key') }] };
  const postern = await startPosternProcess(baseConfig(await freePort(), registration, { session }));
  try {
    const key = newKey();
    write('key', key);
    await until(() => postern.output.some((line) => line.includes('"event":"files_reloaded"')));
  } finally {
    await postern.stop();
  }
});

test('where the system tells nothing, files are looked at again after a while', async () => {
  let looks = 0;
  const watched = watchFiles({ files: ['/not/there/key'], pollMs: 20, onChange: () => void (looks += 1) });
  await until(() => looks >= 3);
  watched.close();
});
