import { availableParallelism } from 'node:os';
import { expect, test } from '@jest/globals';
import { workerCount } from '../../../src/cli/workers.ts';
import { complaintsAbout, load, rightSave } from '../../support/config-text.ts';

const withoutRedis = (text: string): string => rightSave(text).replace(/^redis.*\n/m, '');

test.each(['0', '-1', '1.5', '129', 'many', '"2"'])(
  'workers is a whole number from 1 to 128, or auto, not %s',
  (workers) => {
    expect(complaintsAbout(rightSave(`workers: ${workers}`))).toEqual([
      expect.stringMatching(
        /^postern.yaml:1:10 workers: must be (a whole number from 1 to 128, or auto|at least 1|at most 128), not /,
      ),
    ]);
  },
);

test('sessions in one process’s memory are no use to a second: more than one worker needs redis', () => {
  expect(complaintsAbout(withoutRedis('workers: 2'))).toEqual([
    'postern.yaml:1:10 workers: 2 are more than one process, and without redis each would have sessions of its own; add redis, or set 1',
  ]);
  // Whether the machine at hand has one processor or more: a configuration is right or wrong everywhere.
  expect(complaintsAbout(withoutRedis('workers: auto'))).toEqual([
    'postern.yaml:1:10 workers: auto can be more than one process, and without redis each would have sessions of its own; add redis, or set 1',
  ]);
  expect(load(withoutRedis('workers: 1')).kind).toBe('ok');
  expect(complaintsAbout(rightSave('workers: auto'))).toEqual([]);
});

test('auto is as many as there are processors for this process', () => {
  expect([workerCount({ workers: 'auto' }), workerCount({ workers: 3 })]).toEqual([availableParallelism(), 3]);
});
