import { expect, test } from '@jest/globals';
import { parseCommandLine } from '../../../src/cli/command-line.ts';
import { commandNames, helpFor, overview } from '../../../src/cli/commands.ts';

const words = (line: string): string[] => line.split(' ').filter((word) => word !== '');

test.each([
  ['serve', { command: 'serve', options: { config: 'postern.yaml' } }],
  ['serve --config /etc/postern.yaml', { command: 'serve', options: { config: '/etc/postern.yaml' } }],
  ['check --config=a.yaml', { command: 'check', options: { config: 'a.yaml' } }],
  ['check --online', { command: 'check', options: { online: true, json: false } }],
  ['doctor --json', { command: 'doctor', options: { online: false, json: true } }],
  ['print --explain', { command: 'print', options: { config: 'postern.yaml', explain: true } }],
  ['schema --markdown', { command: 'schema', options: { markdown: true } }],
  [
    'route GET /api?x=1 --config a.yaml',
    { command: 'route', operands: ['GET', '/api?x=1'], options: { config: 'a.yaml' } },
  ],
  ['sessions end --sub alice', { command: 'sessions', operands: ['end'], options: { sub: 'alice', iss: undefined } }],
  ['sessions list --sub=a --iss=b', { command: 'sessions', operands: ['list'], options: { sub: 'a', iss: 'b' } }],
  ['route --config a.yaml GET /api', { command: 'route', operands: ['GET', '/api'], options: { config: 'a.yaml' } }],
])('postern %s runs', (line, expected) => {
  expect(parseCommandLine(words(line))).toMatchObject({ kind: 'run', ...expected });
});

test.each([
  ['--help', { kind: 'help' }],
  ['-h', { kind: 'help' }],
  ['help', { kind: 'help' }],
  ['help check', { kind: 'help', command: 'check' }],
  ['check --help', { kind: 'help', command: 'check' }],
  ['check -h', { kind: 'help', command: 'check' }],
  ['--version', { kind: 'version' }],
])('postern %s tells about itself', (line, expected) => {
  expect(parseCommandLine(words(line))).toEqual(expected);
});

const allCommands = 'postern serve | check | print | schema | route | doctor | sessions (postern --help says more)';

test.each([
  ['', 'a command is missing', allCommands],
  ['chek', 'unknown command "chek"; did you mean "check"?', allCommands],
  ['frobnicate', 'unknown command "frobnicate"', allCommands],
  ['help servee', 'unknown command "servee"; did you mean "serve"?', allCommands],
  ['help check print', 'help is for one command at a time', allCommands],
  ['--config a.yaml', 'the command comes first, before --config', allCommands],
  [
    'check --confg a.yaml',
    'unknown option --confg; did you mean "--config"?',
    'postern check [--config FILE] [--online]',
  ],
  ['check --explain', 'unknown option --explain', 'postern check [--config FILE] [--online]'],
  ['check --__proto__', 'unknown option --__proto__', 'postern check [--config FILE] [--online]'],
  ['check -x', 'unknown option -x', 'postern check [--config FILE] [--online]'],
  ['check --config', '--config needs a value', 'postern check [--config FILE] [--online]'],
  ['check --config=', '--config needs a value', 'postern check [--config FILE] [--online]'],
  ['print --config --explain', '--config needs a value', 'postern print [--config FILE] [--explain]'],
  ['print --explain=yes', '--explain takes no value', 'postern print [--config FILE] [--explain]'],
  ['check a.yaml', '"a.yaml" is one argument too many', 'postern check [--config FILE] [--online]'],
  ['sessions', 'list|end is missing', 'postern sessions list|end --sub SUB [--iss URL] [--config FILE]'],
  ['sessions list', '--sub is missing', 'postern sessions list|end --sub SUB [--iss URL] [--config FILE]'],
  ['sessions lst', '"lst" is neither list nor end', 'postern sessions list|end --sub SUB [--iss URL] [--config FILE]'],
  ['route', 'METHOD is missing', 'postern route METHOD PATH [--config FILE]'],
  ['route GET', 'PATH is missing', 'postern route METHOD PATH [--config FILE]'],
])('postern %s is a mistake', (line, message, usage) => {
  expect(parseCommandLine(words(line))).toEqual({ kind: 'mistake', message, usage });
});

test('the overview names every command, and every command explains its options', () => {
  for (const name of commandNames) {
    expect(overview()).toContain(`postern ${name}`);
    expect(helpFor(name)).toMatch(/^Usage: postern .*\n\n.+\.\n\nOptions:\n/);
  }
  expect(helpFor('print')).toContain('--explain');
});
