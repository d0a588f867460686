// A real Keycloak on a port of loopback, with a realm file and data of its own. The distribution is what `npm run test:keycloak` keeps.
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startKeycloak as startProcess } from '../../scripts/keycloak.js';
import { freePort } from '../support/free-port.ts';
import { visitProvider } from '../support/provider-visitor.ts';

export type Keycloak = Awaited<ReturnType<typeof startKeycloak>>;

export interface KeycloakEvent {
  type: string;
  time: number;
  clientId: string;
  error?: string;
}

/**
 * Starts it, and waits until it can be asked.
 *
 * @param options.realmFile gives the file that is imported, for the origin where Keycloak will be
 * @param options.environment what the file names as `${NAME}`
 */
export async function startKeycloak(options: {
  realm: string;
  realmFile: (origin: string) => string;
  environment: Record<string, string>;
}) {
  const { realm, realmFile, environment } = options;
  const distribution = process.env['POSTERN_KEYCLOAK'];
  if (distribution === undefined)
    throw new Error('POSTERN_KEYCLOAK is not set: run these tests with npm run test:keycloak');
  const folder = await mkdtemp(join(tmpdir(), 'postern-keycloak-'));
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  let server: ReturnType<typeof startProcess>['server'] | undefined;

  /** Back to what it was before anybody came: other keys, no sessions, the realm as in its file. */
  async function renew(): Promise<void> {
    await rm(folder, { recursive: true, force: true });
    await cp(distribution!, folder, { recursive: true });
    await mkdir(join(folder, 'data/import'), { recursive: true });
    await writeFile(join(folder, 'data/import/realm.json'), realmFile(origin));
  }

  async function start(): Promise<void> {
    const started = startProcess(folder, { ...environment, KC_HTTP_PORT: String(port), KC_HOSTNAME: origin }, [
      '--import-realm',
    ]);
    ({ server } = started);
    await started.listening;
  }

  async function stop(): Promise<void> {
    if (server === undefined) return;
    const ended = once(server, 'close');
    server.kill('SIGTERM');
    server = undefined;
    await ended;
  }

  /** The admin API; `path` is below the realm's. Gives the body of the answer. */
  async function admin(method: string, path: string, body?: object): Promise<any> {
    const response = await fetch(`${origin}/admin/realms/${realm}${path}`, {
      method,
      headers: { authorization: `Bearer ${await adminToken(origin)}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  await renew();
  await start();
  return {
    origin,
    issuer: `${origin}/realms/${realm}`,
    start,
    stop,
    renew,
    admin,
    /** A person at Keycloak's pages; the password is the name. */
    visit: (url: string | URL, { user }: { user: string }) => visitProvider(url, { user, password: user }),
    /** Some settings of the realm, the others stay. */
    set: (settings: Record<string, unknown>) => admin('PUT', '', settings),
    async userId(name: string): Promise<string> {
      const [user] = await admin('GET', `/users?exact=true&username=${name}`);
      return user.id;
    },
    /** Changes a client's settings. */
    async setClient(clientId: string, settings: Record<string, unknown>): Promise<void> {
      const [client] = await admin('GET', `/clients?clientId=${clientId}`);
      await admin('PUT', `/clients/${client.id}`, { ...client, ...settings });
    },
    /** Changes a mapper of a client scope. */
    async changeMapper(scope: string, name: string, config: Record<string, string>): Promise<void> {
      const scopes: { id: string; name: string; protocolMappers?: { id: string; name: string; config: object }[] }[] =
        await admin('GET', '/client-scopes');
      const { id, protocolMappers } = scopes.find((candidate) => candidate.name === scope)!;
      const mapper = protocolMappers!.find((candidate) => candidate.name === name)!;
      await admin('PUT', `/client-scopes/${id}/protocol-mappers/models/${mapper.id}`, {
        ...mapper,
        config: { ...mapper.config, ...config },
      });
    },
    /** What it wrote down of refreshes, oldest first, since `eventsEnabled`. */
    async refreshes(): Promise<KeycloakEvent[]> {
      const events: KeycloakEvent[] = await admin(
        'GET',
        '/events?type=REFRESH_TOKEN&type=REFRESH_TOKEN_ERROR&max=1000',
      );
      return events.reverse();
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function adminToken(origin: string): Promise<string> {
  const response = await fetch(`${origin}/realms/master/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'password',
      client_id: 'admin-cli',
      username: 'admin',
      password: 'admin',
    }),
  });
  if (!response.ok) throw new Error(`Keycloak lets no administrator in: ${response.status}`);
  const { access_token } = (await response.json()) as { access_token: string };
  return access_token;
}
