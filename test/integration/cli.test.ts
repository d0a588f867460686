// The program as people run it: a process, its two streams, its exit code.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { rightSave, sessionKey } from '../support/config-text.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const secrets = {
  CLIENT_SECRET: 'canary-client-secret',
  SESSION_KEY: sessionKey,
  REDIS_URL: 'redis://:canary@redis:6379',
};
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-cli-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

async function postern(args: string[], env: Record<string, string> = secrets): Promise<Ran> {
  const child = spawn(process.execPath, [main, ...args], { cwd: directory, env });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, stdout, stderr };
}

function write(name: string, content: string): string {
  writeFileSync(join(directory, name), content);
  return name;
}

test('check says that a right file is right', async () => {
  const file = write('right.yaml', rightSave(''));
  expect(await postern(['check', '--config', file])).toEqual({
    code: 0,
    stdout: 'right.yaml: the configuration is valid\n',
    stderr: '',
  });
});

test.each(['check', 'serve', 'print'])(
  '%s ends with 78 on a wrong file: one line for each problem, no stack trace',
  async (command) => {
    const file = write(
      `wrong-${command}.yaml`,
      rightSave(
        'publicUrl: shop.example.com\nprovider:\n  issuer: https://id.example.com\n  clientId: shop\n  clientSecret: { env: NOT_THERE }\n  scops: [openid]\n',
      ),
    );
    expect(await postern([command, '--config', file])).toEqual({
      code: 78,
      stdout: '',
      stderr: [
        `${file}:1:12 publicUrl: must be an origin: scheme, host and port, nothing after them, such as https://shop.example.com, not "shop.example.com"`,
        `${file}:5:17 provider.clientSecret: the environment variable NOT_THERE is not set`,
        `${file}:6:3 provider.scops: unknown key; did you mean "scopes"?`,
        '',
      ].join('\n'),
    });
  },
);

test('check and print --explain say which session key signs, and how long the old one is needed (S-22)', async () => {
  write('new.key', Buffer.alloc(32, 'canary-new').toString('base64'));
  const file = write(
    'ring.yaml',
    rightSave('session:\n  keys:\n    - { file: new.key }\n    - { env: SESSION_KEY }\n'),
  );
  const fresh = `file ${join(directory, 'new.key')}`;
  const needed = 'needed until 12h and 10m after the last process has started';
  expect(await postern(['check', '--config', file])).toMatchObject({
    code: 0,
    stdout: [
      'ring.yaml: the configuration is valid',
      `session.keys[0] (${fresh}) signs and seals once a process has known it for 10m`,
      `session.keys[1] (env SESSION_KEY) signs and seals until then; ${needed}`,
      '',
    ].join('\n'),
  });
  const { stdout } = await postern(['print', '--explain', '--config', file]);
  expect(stdout).toContain(`# line 3, ${fresh}; signs and seals once a process has known it for 10m\n`);
  expect(stdout).toContain(`# line 4, env SESSION_KEY; signs and seals until then; ${needed}\n`);
  expect(stdout).toContain(
    'refreshBefore: 1m # default; a fifth of the lifetime for access tokens that live less than 5m\n',
  );
});

test('check warns and still ends with 0', async () => {
  const file = write('warned.yaml', rightSave('insecure: { httpIssuer: true }'));
  expect(await postern(['check', '--config', file])).toEqual({
    code: 0,
    stdout: 'warned.yaml: the configuration is valid\n',
    stderr:
      'warned.yaml:1:25 warning: insecure.httpIssuer: the provider may be on plain http: client secret and tokens can be read on the way; never in production\n',
  });
});

test('a file that is not there, or is a directory, ends with 78', async () => {
  expect(await postern(['check'])).toEqual({
    code: 78,
    stdout: '',
    stderr: 'postern.yaml: the configuration cannot be read: there is no such file (--config FILE names another)\n',
  });
  mkdirSync(join(directory, 'folder'));
  expect((await postern(['check', '--config', 'folder'])).stderr).toBe(
    'folder: the configuration cannot be read: it is a directory (--config FILE names another)\n',
  );
});

test('secrets are read from files beside the configuration, and printed by their place only (SEC-01)', async () => {
  write('client.secret', 'canary-in-a-file\n');
  const file = write(
    'files.yaml',
    rightSave('provider: { issuer: https://id.example.com, clientId: shop, clientSecret: { file: client.secret } }'),
  );
  const { code, stdout, stderr } = await postern(['print', '--explain', '--config', file]);
  expect(code).toBe(0);
  expect(stdout).toContain(
    `clientSecret: { file: ${join(directory, 'client.secret')} } # line 1, file ${join(directory, 'client.secret')}`,
  );
  expect(stdout + stderr).not.toContain('canary');
});

test('a secret that may not be read is told so', async () => {
  write('locked.secret', 'canary');
  chmodSync(join(directory, 'locked.secret'), 0);
  const file = write(
    'locked.yaml',
    rightSave('session: { keys: [{ file: locked.secret }, { file: folder-of-keys }] }'),
  );
  mkdirSync(join(directory, 'folder-of-keys'));
  const { code, stderr } = await postern(['check', '--config', file]);
  expect(code).toBe(78);
  expect(stderr).toContain(
    `session.keys[1]: the file ${join(directory, 'folder-of-keys')} cannot be read: it is a directory\n`,
  );
  // Root reads everything: there the first key is no base64 instead.
  expect(stderr).toMatch(
    /session\.keys\[0\]: (the file .* cannot be read: this process may not read it|holds 4 bytes)/,
  );
});

test('schema prints what config/postern.schema.json holds', async () => {
  const { code, stdout } = await postern(['schema']);
  expect(code).toBe(0);
  expect(stdout).toBe(readFileSync(new URL('../../config/postern.schema.json', import.meta.url), 'utf8'));
});

test('route explains a request', async () => {
  const file = write('route.yaml', rightSave(''));
  const { code, stdout } = await postern(['route', 'GET', '/api/orders/1', '--config', file]);
  expect(code).toBe(0);
  expect(stdout).toContain('upstream  GET http://orders:8080/api/orders/1\n');
});

test('a mistake in the arguments ends with 64 and says what was meant', async () => {
  expect(await postern(['chekc'])).toEqual({
    code: 64,
    stdout: '',
    stderr:
      'postern: unknown command "chekc"; did you mean "check"?\nusage: postern serve | check | print | schema | route | doctor | sessions (postern --help says more)\n',
  });
  expect((await postern([])).code).toBe(64);
});

test('help and version go to stdout and end with 0', async () => {
  const help = await postern(['--help']);
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(help.stdout).toContain('postern serve [--config FILE]');
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  expect(await postern(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test('a reader that goes away early is no failure', async () => {
  const child = spawn(process.execPath, [main, 'schema'], { cwd: directory, env: {} });
  child.stdout.destroy();
  const [stderr] = await Promise.all([text(child.stderr), once(child, 'close')]);
  expect({ code: child.exitCode, stderr }).toEqual({ code: 0, stderr: '' });
});

test('a port that is taken ends serve with 1 and one line', async () => {
  const occupant = createServer().listen(0, '127.0.0.1');
  await once(occupant, 'listening');
  const { port } = occupant.address() as AddressInfo;
  const file = write(
    'taken.yaml',
    rightSave(`listen: 127.0.0.1:${port}\noperations: { listen: 127.0.0.1:0 }\n`).replace(/^redis.*\n/m, ''),
  );
  const { code, stderr } = await postern(['serve', '--config', file]);
  occupant.close();
  expect(code).toBe(1);
  expect(stderr).toContain(`postern: listen EADDRINUSE: address already in use 127.0.0.1:${port}\n`);
  expect(stderr).not.toContain('    at ');
});

test.each(['SIGTERM', 'SIGINT'] as const)('serve runs until %s, and ends with 0', async (signal) => {
  const file = write(
    `served-${signal}.yaml`,
    rightSave('listen: 127.0.0.1:0\noperations: { listen: 127.0.0.1:0 }\nlog: { format: json }').replace(
      /^redis.*\n/m,
      '',
    ),
  );
  const child = spawn(process.execPath, [main, 'serve', '--config', file], { cwd: directory, env: secrets });
  const closed = once(child, 'close');
  await once(child.stdout, 'data');
  child.kill(signal);
  await closed;
  expect(child.exitCode).toBe(0);
});
