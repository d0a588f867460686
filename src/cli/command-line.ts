// Understands the arguments: a command with its options, a call for help, or a mistake with the nearest right word.
import { parseArgs } from 'node:util';
import { didYouMean } from '../config/did-you-mean.ts';
import { commandNames, commands, usageOf } from './commands.ts';
import type { CommandHelp, CommandName } from './commands.ts';

export type CommandLine =
  | {
      kind: 'run';
      command: CommandName;
      operands: string[];
      options: {
        config: string;
        explain: boolean;
        markdown: boolean;
        online: boolean;
        json: boolean;
        sub: string | undefined;
        iss: string | undefined;
      };
    }
  | { kind: 'help'; command?: CommandName }
  | { kind: 'version' }
  /** `message` is one line, `usage` the line that shows how it is done. */
  | { kind: 'mistake'; message: string; usage: string };

/** The arguments after the program's name. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const [first, ...rest] = args;
  if (first === undefined) return mistake('a command is missing');
  if (first === '--help' || first === '-h') return { kind: 'help' };
  if (first === '--version' || first === '-v') return { kind: 'version' };
  if (first === 'help') return parseHelp(rest);
  if (first.startsWith('-')) return mistake(`the command comes first, before ${first}`);
  if (!isCommand(first)) return mistake(unknownCommand(first));
  return parseCommand(first, rest);
}

function parseHelp([name, ...more]: string[]): CommandLine {
  if (name === undefined) return { kind: 'help' };
  if (!isCommand(name)) return mistake(unknownCommand(name));
  return more.length > 0 ? mistake('help is for one command at a time') : { kind: 'help', command: name };
}

function parseCommand(command: CommandName, args: string[]): CommandLine {
  const { options, operands }: CommandHelp = commands[command];
  const { values, positionals, tokens } = parseArgs({
    args,
    options: {
      ...Object.fromEntries(
        Object.entries(options).map(([name, { value }]) => [
          name,
          { type: value === undefined ? 'boolean' : 'string' } as const,
        ]),
      ),
      help: { type: 'boolean', short: 'h' },
    },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  if (values.help === true) return { kind: 'help', command };
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const message = wrongOption(token, options);
    if (message !== undefined) return mistake(message, command);
  }
  if (positionals.length < operands.length) return mistake(`${operands[positionals.length] ?? ''} is missing`, command);
  if (positionals.length > operands.length)
    return mistake(`"${positionals[operands.length] ?? ''}" is one argument too many`, command);
  const choice = operands.findIndex((operand, index) => !allows(operand, positionals[index] ?? ''));
  if (choice >= 0) {
    const names = (operands[choice] ?? '').replace('|', ' nor ');
    return mistake(`"${positionals[choice] ?? ''}" is neither ${names}`, command);
  }
  const missing = Object.keys(options).find((name) => options[name]?.required === true && values[name] === undefined);
  if (missing !== undefined) return mistake(`--${missing} is missing`, command);
  return {
    kind: 'run',
    command,
    operands: positionals,
    options: {
      config: typeof values.config === 'string' ? values.config : 'postern.yaml',
      explain: values.explain === true,
      markdown: values.markdown === true,
      online: values['online'] === true,
      json: values['json'] === true,
      sub: typeof values['sub'] === 'string' ? values['sub'] : undefined,
      iss: typeof values['iss'] === 'string' ? values['iss'] : undefined,
    },
  };
}

function wrongOption(
  token: { name: string; rawName: string; value?: string | undefined; inlineValue?: boolean | undefined },
  options: CommandHelp['options'],
): string | undefined {
  const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
  if (option === undefined)
    return `unknown option ${token.rawName}${didYouMean(
      token.rawName,
      Object.keys(options).map((name) => `--${name}`),
    )}`;
  if (option.value === undefined) return token.value === undefined ? undefined : `${token.rawName} takes no value`;
  const isMissing =
    token.value === undefined || token.value === '' || (token.inlineValue !== true && token.value.startsWith('-'));
  return isMissing ? `${token.rawName} needs a value` : undefined;
}

// An operand such as list|end is one of these words; METHOD is any.
function allows(operand: string, given: string): boolean {
  return !operand.includes('|') || operand.split('|').includes(given);
}

function unknownCommand(name: string): string {
  return `unknown command "${name}"${didYouMean(name, commandNames)}`;
}

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(commands, name);
}

function mistake(message: string, command?: CommandName): CommandLine {
  const usage =
    command === undefined ? `postern ${commandNames.join(' | ')} (postern --help says more)` : usageOf(command);
  return { kind: 'mistake', message, usage };
}
