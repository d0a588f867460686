// As much of a Kubernetes API server as `helm install --dry-run=server` asks: which kinds there are, and the Secrets that it holds.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const groups: Record<string, Record<string, string>> = {
  v1: {
    services: 'Service',
    configmaps: 'ConfigMap',
    secrets: 'Secret',
    serviceaccounts: 'ServiceAccount',
    pods: 'Pod',
  },
  'apps/v1': { deployments: 'Deployment', statefulsets: 'StatefulSet' },
  'networking.k8s.io/v1': { ingresses: 'Ingress' },
};

const ofTheRelease = {
  labels: { 'app.kubernetes.io/managed-by': 'Helm' },
  annotations: { 'meta.helm.sh/release-name': 'postern', 'meta.helm.sh/release-namespace': 'default' },
};

/** Starts one on loopback; `secrets` are those that the release `postern` has made in `default`: name → data, base64. */
export async function startApiServer(secrets: Record<string, Record<string, string>>) {
  function answer(path: string): object | undefined {
    if (path === '/version') return { major: '1', minor: '37', gitVersion: 'v1.37.0' };
    if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] };
    if (path === '/apis')
      return { kind: 'APIGroupList', apiVersion: 'v1', groups: [groupOf('apps'), groupOf('networking.k8s.io')] };
    const resources = groups[path.replace(/^\/apis?\//, '')];
    if (resources !== undefined) return resourceList(path.replace(/^\/apis?\//, ''), resources);
    if (path === '/api/v1/namespaces/default/secrets') return { kind: 'SecretList', apiVersion: 'v1', items: [] };
    const name = /^\/api\/v1\/namespaces\/default\/secrets\/(.+)$/.exec(path)?.[1];
    const data = name === undefined ? undefined : secrets[name];
    return (
      data && { kind: 'Secret', apiVersion: 'v1', metadata: { name, namespace: 'default', ...ofTheRelease }, data }
    );
  }

  const server = createServer((request, response) => {
    const found = answer(new URL(request.url ?? '/', 'http://api').pathname);
    const missing = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 };
    response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ?? missing));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function groupOf(name: string) {
  const only = { groupVersion: `${name}/v1`, version: 'v1' };
  return { name, versions: [only], preferredVersion: only };
}

function resourceList(groupVersion: string, resources: Record<string, string>) {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion,
    resources: Object.entries(resources).map(([name, kind]) => ({
      name,
      kind,
      singularName: '',
      namespaced: true,
      verbs: ['get', 'list', 'create'],
    })),
  };
}
