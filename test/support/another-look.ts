// For tests of what follows files: how to know that whoever follows a directory has looked at it once more, when they must not do anything about it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { watchFiles } from '../../src/config/watched-files.ts';
import { until } from './until.ts';

/** Makes whoever follows the directory look again, and waits until they have: their timers are older than ours. */
export async function anotherLook(directory: string): Promise<void> {
  let looked = false;
  const watched = watchFiles({
    files: [join(directory, 'any')],
    pollMs: 60_000,
    onChange: () => {
      looked = true;
    },
  });
  writeFileSync(join(directory, 'unrelated'), '');
  await until(() => looked);
  watched.close();
}
