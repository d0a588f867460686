// A configuration that turns out to be unusable only when its parts are made, as when a file is taken away in between: nothing of it stays behind.
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { assemble } from '../../src/cli/serve.ts';
import { createReadSecret } from '../../src/config/read-secret.ts';
import { createConfigSchema } from '../../src/config/schema.ts';
import type { Config } from '../../src/config/schema.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { baseConfig } from '../support/postern.ts';
import type { ConfigInput } from '../support/postern.ts';
import { until } from '../support/until.ts';

const registration = { issuer: 'http://localhost:9', clientId: 'shop', clientSecret: 'unused' };

/** How many directories this process has Linux watch. */
function watches(): number {
  const told = readdirSync('/proc/self/fdinfo').flatMap((fd) => {
    try {
      return readFileSync(join('/proc/self/fdinfo', fd), 'utf8').match(/^inotify wd:/gm) ?? [];
    } catch {
      // The one that the directory was read with.
      return [];
    }
  });
  return told.length;
}

test('fifty configurations that are refused when their upstreams are there already leave nothing open, and the one in force is as it was', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-refused-'));
  const port = await freePort();
  const { cert } = makeCertificate(['api']);
  const authority = (name: string): string => {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'ca.pem'), cert);
    return join(directory, name, 'ca.pem');
  };
  const missing = join(directory, 'missing.pem');
  const routeTo = (name: string, file: string) => ({
    path: `/${name}`,
    upstream: `https://${name}.test`,
    websocket: true,
    tls: { ca: { file } },
  });
  const readSecret = createReadSecret({ readFile: (path) => readFileSync(path, 'utf8'), env: {} });
  const parse = (overrides: ConfigInput): Config =>
    createConfigSchema(readSecret).parse({ ...baseConfig(port, registration), ...overrides });

  const kept = routeTo('kept', authority('kept'));
  const log: string[] = [];
  const assembly = assemble(
    parse({ routes: [kept] }),
    createLogger({ level: 'info', access: true, format: 'json' }, { write: (line: string) => void log.push(line) }),
  );
  const [generation, before] = [assembly.generation(), watches()];
  expect(before).toBeGreaterThan(0);
  for (let attempt = 1; attempt <= 50; attempt += 1) {
    const added = routeTo(`added-${attempt}`, authority(`added-${attempt}`));
    const wrong =
      attempt % 2 === 0
        ? { routes: [kept, added, routeTo('wrong', missing)] }
        : { routes: [kept, added], provider: { ...registration, tls: { ca: { file: missing } } } };
    expect(() => assembly.follow(parse(wrong))).toThrow('missing.pem');
  }
  expect(watches()).toBe(before);
  expect(assembly.generation()).toBe(generation);

  writeFileSync(kept.tls.ca.file, makeCertificate(['api']).cert);
  await until(() => log.some((line) => line.includes('"event":"files_reloaded"') && line.includes(kept.tls.ca.file)));
  await assembly.parts.close();
  assembly.close();
  expect(watches()).toBe(before - 1);
  rmSync(directory, { recursive: true });
});
