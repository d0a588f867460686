// The commands and their options: what the command line accepts and what `--help` says come from this one table.

export interface OptionHelp {
  /** Whether a value follows, and what to call it. */
  value?: string;
  required?: true;
  help: string;
}

export interface CommandHelp {
  summary: string;
  operands: readonly string[];
  options: Readonly<Record<string, OptionHelp>>;
  /** What else there is to say, one paragraph. */
  more?: string;
}

const config: OptionHelp = { value: 'FILE', help: 'the configuration (default: postern.yaml)' };

export const commands = {
  serve: { summary: 'run', operands: [], options: { config } },
  check: {
    summary: 'validate the configuration without starting',
    operands: [],
    options: {
      config,
      online: { help: 'ask the provider and the store too: exit code 1 if something would not work' },
    },
    more: 'Every problem is one line on stderr: file, line, column, key, and what to do. Warnings do not change the exit code.',
  },
  print: {
    summary: 'the effective configuration, secrets redacted',
    operands: [],
    options: { config, explain: { help: 'say of each value where it comes from' } },
    more: 'What is printed is a configuration that loads again; secrets that stand in the file itself are [redacted] and must be filled in.',
  },
  schema: {
    summary: 'the JSON Schema of the configuration, for editors',
    operands: [],
    options: { markdown: { help: 'the reference page instead' } },
  },
  route: {
    summary: 'which route a request takes, which token, which upstream URL, and why',
    operands: ['METHOD', 'PATH'],
    options: { config },
    more: 'Example: postern route GET /api/orders/1',
  },
  doctor: {
    summary: 'what this provider and this store support, and what that means for this configuration',
    operands: [],
    options: { config, json: { help: 'the report for programs' } },
    more: 'Asks the provider and the store, and changes nothing in either. Also lists what to register at the provider. Exit code 1 if something would not work.',
  },
  sessions: {
    summary: 'find the sessions of a user in the running Postern, or end them',
    operands: ['list|end'],
    options: {
      sub: { value: 'SUB', required: true, help: 'the user, as the provider names them in the claim sub' },
      iss: { value: 'URL', help: 'the issuer (default: provider.issuer)' },
      config,
    },
    more: 'Asks the operations listener of this machine, with operations.admin.token. Example: postern sessions end --sub 248289761001',
  },
} satisfies Record<string, CommandHelp>;

export type CommandName = keyof typeof commands;

export const commandNames = Object.keys(commands) as CommandName[];

/** What `postern --help` prints. */
export function overview(): string {
  const width = Math.max(...commandNames.map((name) => usageOf(name).length));
  return [
    'Postern keeps OAuth tokens on the server: the browser gets one cookie, the API gets the token.',
    '',
    'Usage:',
    ...commandNames.map((name) => `  ${usageOf(name).padEnd(width)}   ${commands[name].summary}`),
    `  ${'postern help COMMAND'.padEnd(width)}   more about one of them`,
    `  ${'postern --version'.padEnd(width)}   the version`,
    '',
    'Exit codes: 0 fine, 1 failed while running, 64 bad usage, 78 bad configuration.',
    '',
  ].join('\n');
}

/** What `postern help COMMAND` prints. */
export function helpFor(name: CommandName): string {
  const { summary, options, more }: CommandHelp = commands[name];
  const lines = Object.entries({ ...options, help: { help: 'this text' } }).map(
    ([option, { value, help, required }]: [string, OptionHelp]) =>
      `  ${`--${option}${value === undefined ? '' : ` ${value}`}`.padEnd(16)}${help}${required === true ? ' (required)' : ''}`,
  );
  return [
    `Usage: ${usageOf(name)}`,
    '',
    `${summary}.`,
    '',
    'Options:',
    ...lines,
    ...(more === undefined ? [] : ['', more]),
    '',
  ].join('\n');
}

/** `postern route METHOD PATH [--config FILE]` */
export function usageOf(name: CommandName): string {
  const { operands, options }: CommandHelp = commands[name];
  const written = Object.entries(options).map(([option, { value, required }]) => {
    const text = `--${option}${value === undefined ? '' : ` ${value}`}`;
    return required === true ? text : `[${text}]`;
  });
  return ['postern', name, ...operands, ...written].join(' ');
}
