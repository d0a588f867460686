// The recipes of examples/gateways and examples/deployment in the real programs: only names and addresses are put in their place.
import { readFile } from 'node:fs/promises';
import { findEnvoy, findTraefik } from '../../scripts/optional-programs.js';
import { startCaddy, startEnvoy, startHaproxy, startNginx, startTraefik } from './gateway-programs.ts';
import type { Gateway } from './gateway-programs.ts';

/** Host and port of what stands behind one that asks. */
export interface Behind {
  postern: string;
  /** Where Postern decides about calls. */
  decisions: string;
  /** Where they go then. */
  api: string;
}

/** Host and port of what stands behind one that does not. */
export interface BehindFront {
  postern: string;
  operations: string;
  /** Where the app's files are. */
  files: string;
}

interface Kind<Places> {
  name: string;
  /** Why it cannot be started on this machine. */
  absence?: string | undefined;
  /** @param port where it listens */
  start(port: number, behind: Places): Promise<Gateway>;
}

export interface GatewayKind extends Kind<Behind> {
  /** What it tells the app of an outage, where it drops what Postern says of one. */
  outageCode?: string;
}

export type FrontKind = Kind<BehindFront>;

const envoyAbsence = findEnvoy() === undefined ? 'there is no Envoy here' : undefined;
const traefikAbsence = findTraefik() === undefined ? 'there is no Traefik here' : undefined;

/** They carry the bytes and ask Postern about each call. */
export const gatewayKinds: readonly GatewayKind[] = [
  {
    name: 'nginx',
    async start(port, behind) {
      return startNginx(port, await fill('gateways/nginx.conf', addresses(behind), onNginx(port)));
    },
  },
  {
    name: 'Caddy',
    async start(port, behind) {
      const own = { 'http://shop.example.com': `http://localhost:${port}` };
      return startCaddy(port, await fill('gateways/Caddyfile', addresses(behind), own));
    },
  },
  {
    name: 'Envoy',
    absence: envoyAbsence,
    outageCode: 'overloaded',
    async start(port, behind) {
      return startEnvoy(port, await fill('gateways/envoy.yaml', inEnvoy(addresses(behind)), onEnvoy(port)));
    },
  },
  {
    name: 'Traefik',
    absence: traefikAbsence,
    async start(port, behind) {
      const own = { ':80': `127.0.0.1:${port}`, 'shop.example.com': 'localhost' };
      const recipe = await fill('gateways/traefik.yaml', addresses(behind), own);
      return startTraefik(port, staticPartOf(recipe), recipe);
    },
  },
];

/** They lead everything to Postern; nginx has the files of the app itself. */
export const frontKinds: readonly FrontKind[] = [
  {
    name: 'nginx',
    async start(port, { postern, files }) {
      const own = { ...onNginx(port), '/srv/app': files };
      return startNginx(port, await fill('deployment/nginx.conf', { 'postern:8080': postern }, own));
    },
  },
  {
    name: 'HAProxy',
    async start(port, { postern, operations }) {
      const own = {
        ':443 ssl crt /etc/haproxy/shop.pem alpn h2,http/1.1': `127.0.0.1:${port}`,
        'postern-1:8080': postern,
        // One of the two is away.
        'postern-2:8080': '127.0.0.1:1',
        'port 9090': `port ${operations.split(':')[1]!}`,
      };
      return startHaproxy(port, await fill('deployment/haproxy.cfg', own));
    },
  },
  {
    name: 'Envoy',
    absence: envoyAbsence,
    async start(port, { postern }) {
      return startEnvoy(port, await fill('deployment/envoy.yaml', inEnvoy({ 'postern:8080': postern }), onEnvoy(port)));
    },
  },
  {
    name: 'Traefik',
    absence: traefikAbsence,
    async start(port, { postern }) {
      const own = { ':443': `127.0.0.1:${port}`, 'shop.example.com': 'localhost', '      tls: {}\n': '' };
      const recipe = await fill('deployment/traefik.yaml', { 'postern:8080': postern }, own);
      return startTraefik(port, staticPartOf(recipe), recipe);
    },
  },
];

const onNginx = (port: number): Record<string, string> => ({
  'listen 80;': `listen 127.0.0.1:${port};`,
  'shop.example.com': 'localhost',
});

const onEnvoy = (port: number): Record<string, string> => ({
  'address: 0.0.0.0, port_value: 8000': `address: 127.0.0.1, port_value: ${port}`,
  // A browser names a port that is not the scheme's own.
  'shop.example.com': `'localhost:${port}'`,
});

const addresses = ({ postern, decisions, api }: Behind): Record<string, string> => ({
  'postern:8080': postern,
  'postern:9091': decisions,
  'orders:8080': api,
});

function inEnvoy(places: Record<string, string>): Record<string, string> {
  const inYaml = (authority: string) => `address: ${authority.replace(':', ', port_value: ')}`;
  return Object.fromEntries(Object.entries(places).map((pair) => pair.map(inYaml)));
}

// Traefik's entry points cannot stand in the file of routers, so the recipe has them in a comment.
function staticPartOf(recipe: string): string {
  return Array.from(recipe.matchAll(/^# {3}(.*)$/gm), ([, line]) => line).join('\n');
}

/** A recipe with other names and addresses. @throws Error when one of them does not stand in it */
async function fill(name: string, ...tables: Record<string, string>[]): Promise<string> {
  let text = await readFile(new URL(`../../examples/${name}`, import.meta.url), 'utf8');
  for (const [from, to] of tables.flatMap(Object.entries<string>)) {
    if (!text.includes(from)) throw new Error(`${name} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}
