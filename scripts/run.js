#!/usr/bin/env node
// The one door to the jobs of package.json, in a clone where nothing is installed yet. Hence plain JavaScript that Node 20 can read,
// without a dependency: it installs, chooses the Node that Postern is made for, and hands over.
import { rmSync, statSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildChartTools, findGo } from './chart-tools.js';
import { installDependencies, nodeBinary } from './dependencies.js';
import { findJava, prepareKeycloak } from './keycloak.js';
import { needBrowser, needGateways, needRedis } from './machine.js';
import { fetchOptionalPrograms, fetchPromtool } from './optional-programs.js';
import { Failure, root, run, runNpm } from './process.js';
import { writeSbom } from './sbom.js';

const jobs = {
  demo: {
    does: 'provider, API, single-page app and Postern on this machine (--port N, --redis URL, --opaque)',
    async start(options) {
      if (isBuildStale()) await build();
      return run(nodeBinary(), [join(root, 'examples/demo/start.ts'), ...options]);
    },
  },
  test: {
    does: 'the whole suite, or the files and options given',
    start(options) {
      needRedis();
      needBrowser();
      needGateways();
      fetchOptionalPrograms();
      return runNpm(['run', '--silent', 'jest', '--', ...options]);
    },
  },
  'test:chaos': {
    does: 'what users see while parts fail, as a table (--write: into docs/reliability.md)',
    start(options) {
      needRedis();
      return run(nodeBinary(), [join(root, 'test/chaos/run.ts'), ...options]);
    },
  },
  'test:helm': {
    does: 'the Helm chart, with a real helm that Go builds at the first run',
    start(options) {
      const go = findGo();
      if (go === undefined) {
        console.log(
          'test:helm: the chart is NOT tested: there is no Go here (on the PATH, or in /usr/local/go/bin) to build helm with',
        );
        return 0;
      }
      needRedis();
      fetchPromtool();
      Object.assign(process.env, buildChartTools(go));
      // The last one, because it takes every word after it for one more pattern.
      const ignored = '--testPathIgnorePatterns=/node_modules/';
      return runNpm(['run', '--silent', 'jest', '--', 'test/helm', ...options, ignored]);
    },
  },
  'test:keycloak': {
    does: 'login, refresh and logout with a real Keycloak, which the first run fetches from Maven Central',
    async start(options) {
      if (findJava() === undefined) {
        console.log(
          'test:keycloak: NOTHING is tested: there is no Java 17 or newer here (in JAVA_HOME, or on the PATH)',
        );
        return 0;
      }
      needRedis();
      needBrowser();
      process.env.POSTERN_KEYCLOAK = await prepareKeycloak();
      const ignored = '--testPathIgnorePatterns=/node_modules/';
      return runNpm(['run', '--silent', 'jest', '--', 'test/keycloak', ...options, ignored]);
    },
  },
  build: { does: 'src/ to dist/', start: build },
  chart: {
    does: 'helm/values.schema.json, that of helm/charts/valkey and the table of helm/README.md, from the comments in values.yaml',
    start: () => run(nodeBinary(), [join(root, 'scripts/chart.js')]),
  },
  check: { does: 'types, lint, format', start: check },
  sbom: {
    does: 'what the image holds of other projects, as CycloneDX (FILE; standard output unless given)',
    start([file]) {
      writeSbom(file);
      return 0;
    },
  },
  bench: {
    does: 'CPU time per request beside bare http-proxy-middleware (--sizing: the memory that sessions take)',
    start: (options) => run(nodeBinary(), [join(root, 'test/bench/run.ts'), ...options]),
  },
  soak: {
    does: 'ten minutes of everything at once, then a gigabyte each way, with bounds on memory (--minutes N, --people N)',
    start(options) {
      needRedis();
      return run(nodeBinary(), [join(root, 'test/soak/run.ts'), ...options]);
    },
  },
};

async function build() {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  return run(nodeBinary(), [join(root, 'node_modules/typescript/bin/tsc'), '-p', root, '--noEmitOnError']);
}

/** Runs all checks, also after one that failed, and names those that did. */
async function check() {
  const failed = [];
  for (const script of ['types', 'lint', 'format:check']) {
    if ((await runNpm(['run', '--silent', script], { mayFail: true })) !== 0) failed.push(script);
  }
  if (failed.length > 0) throw new Failure(`not clean: ${failed.join(', ')}`);
  console.log('types, lint and format are clean');
  return 0;
}

function isBuildStale() {
  const builtAt = changedAt(join(root, 'dist/main.js'));
  const sources = readdirSync(join(root, 'src'), { recursive: true }).map((path) => join(root, 'src', path));
  return [join(root, 'tsconfig.json'), ...sources].some((path) => changedAt(path) > builtAt);
}

function changedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

const [name, ...options] = process.argv.slice(2);
const job = Object.hasOwn(jobs, name ?? '') ? jobs[name] : undefined;
try {
  if (job === undefined) {
    const lines = Object.entries(jobs).map(([known, { does }]) => `  npm run ${known.padEnd(6)} ${does}`);
    throw new Failure(`which job?\n${lines.join('\n')}`, 64);
  }
  await installDependencies();
  process.exitCode = await job.start(options);
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  if (error.message !== '') console.error(`${name ?? 'run'}: ${error.message}`);
  process.exitCode = error.exitCode;
}
