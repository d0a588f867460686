// Helm itself and the checker of what it renders (test/helm/objects), built once from Go's modules and kept in the user's cache.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { binFolder, isExecutable, onPath } from './machine.js';
import { Failure, root } from './process.js';

const helmVersion = 'v3.22.0';
const checker = join(root, 'test/helm/objects');

/** Where Go is, or undefined: on the PATH, else where its own installer puts it. */
export function findGo() {
  return onPath('go') ?? ['/usr/local/go/bin/go'].find(isExecutable);
}

/**
 * What the tests of the chart need, as environment variables: POSTERN_HELM and POSTERN_OBJECTS are programs, POSTERN_KUBERNETES_SCHEMA and
 * POSTERN_HTTPROUTE_SCHEMA files.
 *
 * @throws Failure when Go cannot build them
 */
export function buildChartTools(go) {
  mkdirSync(binFolder, { recursive: true });
  const helm = join(binFolder, `helm-${helmVersion}`);
  if (!existsSync(helm)) installHelm(go, helm);
  const objects = join(binFolder, 'objects');
  run(go, ['build', '-buildvcs=false', '-o', objects, '.'], { cwd: checker });
  return {
    POSTERN_HELM: helm,
    POSTERN_OBJECTS: objects,
    POSTERN_KUBERNETES_SCHEMA: join(moduleFolder(go, 'k8s.io/cli-runtime'), 'artifacts/openapi/swagger.json'),
    POSTERN_HTTPROUTE_SCHEMA: join(
      moduleFolder(go, 'sigs.k8s.io/gateway-api'),
      'config/crd/standard/gateway.networking.k8s.io_httproutes.yaml',
    ),
  };
}

function installHelm(go, helm) {
  console.log(`building helm ${helmVersion} (go install): some minutes, once`);
  // `go install` names the program itself; a build that is cut short leaves nothing under the final name.
  const folder = mkdtempSync(join(binFolder, 'build-'));
  try {
    const env = { ...process.env, GOBIN: folder };
    run(go, ['install', `helm.sh/helm/v3/cmd/helm@${helmVersion}`], { cwd: folder, env });
    renameSync(join(folder, 'helm'), helm);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function moduleFolder(go, module) {
  return run(go, ['list', '-m', '-f', '{{.Dir}}', module], {
    cwd: checker,
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

function run(program, args, options) {
  const { status, error, stdout } = spawnSync(program, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    encoding: 'utf8',
    ...options,
  });
  if (status !== 0)
    throw new Failure(`${program} ${args.join(' ')} failed${error === undefined ? '' : `: ${error.message}`}`);
  return stdout;
}
