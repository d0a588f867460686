// What docs/kubernetes.md and the other files say of Kubernetes, Prometheus and Compose can be typed in as it stands.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { chart, render, run } from './chart.ts';

const root = join(chart, '..');
const page = readFileSync(join(root, 'docs/kubernetes.md'), 'utf8');
const snippets = Array.from(page.matchAll(/^```yaml\n([^]*?)^```$/gm), ([, snippet]) => parse(snippet!) as object);

test('the smallest values on the page are those that are tested', () => {
  expect(snippets[0]).toEqual(parse(readFileSync(join(chart, 'ci/minimal-values.yaml'), 'utf8')));
});

test.each(snippets.map((snippet, index) => ({ index, snippet })))(
  'values $index of the page work',
  async ({ snippet }) => {
    await expect(render('minimal', snippet)).resolves.toContain('kind: Deployment');
  },
);

test('the Compose file is what Docker Compose accepts', async () => {
  const file = readFileSync(join(root, 'examples/compose/compose.yaml'), 'utf8');
  const wrong = file.replace('    image: postern\n', '    imag: postern\n');
  expect(JSON.parse((await run('POSTERN_OBJECTS', ['-compose'], file)).stdout)).toEqual([]);
  expect(JSON.parse((await run('POSTERN_OBJECTS', ['-compose'], wrong)).stdout)).toHaveLength(1);
});
