import { expect, test } from '@jest/globals';
import { createLogger } from '../../../src/telemetry/log.ts';

function linesOf(format: 'json' | 'pretty', log: (logger: ReturnType<typeof createLogger>) => void): string[] {
  const lines: string[] = [];
  log(createLogger({ level: 'info', access: true, format }, { write: (line: string) => void lines.push(line) }));
  return lines;
}

test('a line for machines is one JSON object with time, level and message', () => {
  const [line = ''] = linesOf('json', (logger) => logger.info({ route: '/api' }, 'request'));
  expect(JSON.parse(line)).toEqual({ time: expect.any(String), level: 'info', route: '/api', msg: 'request' });
});

test('a line for people shows time, level, message and fields', () => {
  const [line] = linesOf('pretty', (logger) => logger.warn({ route: '/api', status: 503 }, 'request'));
  expect(line).toMatch(/^\d\d:\d\d:\d\d warn {2}request route="\/api" status=503\n$/);
});

test.each(['json', 'pretty'] as const)(
  'nothing that a stranger sends begins a log line of its own, in %s (LOGS-03)',
  (format) => {
    const [line = '', ...others] = linesOf(format, (logger) =>
      logger.info({ path: '/a\n14:00:00 info  forged' }, 'one\ntwo'),
    );
    expect(others).toEqual([]);
    expect(line.trimEnd()).not.toContain('\n');
  },
);

test('an error is logged by its name, message and code: never with what hangs on it (TK-02)', () => {
  const error = Object.assign(new Error('refused'), { code: 'ECONNREFUSED', response: { body: 'TOKCANARY' } });
  const [line = ''] = linesOf('json', (logger) => logger.warn({ err: new Error('outer', { cause: error }) }, 'x'));
  expect(line).not.toContain('TOKCANARY');
  expect(JSON.parse(line)).toMatchObject({
    err: { message: 'outer', cause: { message: 'refused', code: 'ECONNREFUSED' } },
  });
});
