// Signals that come while Postern is still being loaded: the file of its configuration is a pipe, so it waits there for the test.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from '@jest/globals';
import { freePort } from '../support/free-port.ts';
import { baseConfig } from '../support/postern.ts';
import { until } from '../support/until.ts';

const registration = { issuer: 'http://127.0.0.1:1', clientId: 'shop', clientSecret: 'unused' };

/** Sends signals while the configuration is being read, then lets it be read, and waits until the process says so much; then ends it, if it has not ended. */
async function signalled(signals: NodeJS.Signals[], text: string) {
  const directory = mkdtempSync(join(tmpdir(), 'postern-early-'));
  const file = join(directory, 'postern.yaml');
  execFileSync('mkfifo', [file]);
  const child = spawn(process.execPath, ['src/main.ts', 'serve', '--config', file], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'close');
  const output: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => output.push(line));
  const hasSaid = () => output.some((line) => line.includes(text));
  try {
    // Opens when the process does, at the other end.
    const pipe = await open(file, 'w');
    const config = baseConfig(await freePort(), registration, { shutdown: { delay: '0s' } });
    // What is read from now on is a file.
    writeFileSync(`${file}.new`, JSON.stringify(config));
    renameSync(`${file}.new`, file);
    signals.forEach((signal) => child.kill(signal));
    await pipe.writeFile(JSON.stringify(config));
    await pipe.close();
    await until(() => hasSaid() || child.exitCode !== null || child.signalCode !== null);
    if (!signals.includes('SIGTERM')) child.kill('SIGTERM');
    await ended;
    return { said: hasSaid(), code: child.exitCode, signal: child.signalCode };
  } finally {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  }
}

test('SIGHUP and SIGUSR1 to a process that is still loading end nothing, and the configuration is read again', async () => {
  const outcome = await signalled(['SIGUSR1', 'SIGHUP'], 'configuration_reloaded');
  expect(outcome).toEqual({ said: true, code: 0, signal: null });
});

test('SIGTERM to a process that is still loading ends it in order', async () => {
  const outcome = await signalled(['SIGTERM'], '"msg":"ended"');
  expect(outcome).toEqual({ said: true, code: 0, signal: null });
});
