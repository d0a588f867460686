// A process whose configuration a test changes while it runs, and where it says what became of that.
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { baseConfig, register, startPosternProcess } from './postern.ts';
import type { ConfigInput, PosternProcess, Registration } from './postern.ts';
import { until } from './until.ts';

/** Metrics of a reload. */
export const taken = 'postern_config_reloads_total{outcome="taken"}';
export const refused = 'postern_config_reloads_total{outcome="refused"}';

export interface Reloadable {
  postern: PosternProcess;
  /** Replaces the text of the file. */
  write: (text: string) => void;
  /** Puts whole top-level keys of the file in place of others. */
  change: (overrides: ConfigInput) => void;
}

export async function startReloadable(registration: Registration, overrides: ConfigInput): Promise<Reloadable> {
  let input = baseConfig(await freePort(), registration, overrides);
  register(registration, String(input['publicUrl']));
  const postern = await startPosternProcess(input);
  // Whole, as editors do it: what is half written would be refused, and counted.
  const write = (text: string): void => {
    writeFileSync(`${postern.configFile}.new`, text);
    renameSync(`${postern.configFile}.new`, postern.configFile);
  };
  return {
    postern,
    write,
    change: (overrides) => {
      input = { ...input, ...overrides };
      write(JSON.stringify(input));
    },
  };
}

/** A ConfigMap or Secret as Kubernetes mounts it at `directory`: files lead through one symbolic link, `..data`. Gives what swaps it. */
export function mountedVolume(directory: string): (version: string, files: Record<string, string>) => void {
  return (version, files) => {
    mkdirSync(join(directory, `..${version}`));
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, `..${version}`, name), content);
    symlinkSync(`..${version}`, join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  };
}

/** The lines of the log with this message. */
export const saidIn = ({ output }: PosternProcess, msg: string): Record<string, any>[] =>
  output
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, any>)
    .filter((line) => line['msg'] === msg);

/** The same, once there is one: what is said comes through a pipe, later than what it is said of. */
export async function heardFrom(postern: PosternProcess, msg: string): Promise<Record<string, any>[]> {
  await until(() => saidIn(postern, msg).length > 0);
  return saidIn(postern, msg);
}

/** The Host header that it knows. */
export const hostOf = ({ publicUrl }: PosternProcess): { host: string } => ({ host: new URL(publicUrl).host });
