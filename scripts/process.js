// Child processes for the scripts of this folder: output goes straight through, signals are passed on, failures are one line.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The clone. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** Something a person can mend: told in one line, without a stack trace. An empty message: the child has said it already. */
export class Failure extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Runs a program in the clone until it ends.
 *
 * @returns its exit code, 0 unless `mayFail`
 * @throws Failure with its exit code; with 128 + n when signal n ended it, as shells do
 */
export function run(program, args, { mayFail = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: 'inherit' });
    // A terminal sends Ctrl-C to the child as well; what is passed on here is a signal that was meant for this process alone.
    const passOn = (signal) => child.kill(signal);
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, passOn);
    const settle = (decide) => {
      for (const signal of signals) process.off(signal, passOn);
      decide();
    };
    child.once('error', (error) => settle(() => reject(new Failure(`cannot start ${program}: ${error.message}`))));
    child.once('exit', (code, signal) =>
      settle(() => {
        const exitCode = code ?? 128 + (signalNumbers[signal] ?? 0);
        if (exitCode === 0 || mayFail) resolve(exitCode);
        else reject(new Failure('', exitCode));
      }),
    );
  });
}

const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** Runs npm: the very one that started us where there is one, so that no second npm is needed on the PATH. */
export function runNpm(args, options) {
  const npm = process.env.npm_execpath ?? '';
  return npm.endsWith('npm-cli.js') ? run(process.execPath, [npm, ...args], options) : run('npm', args, options);
}
