// The link to a Redis Cluster: it stands while every master that owns slots can be reached. The driver knows which slot is whose; here is noticed which
// of the masters are gone, and asked again until they are back or replaced.
import { Cluster, Redis } from 'ioredis';
import {
  createGatherer,
  driverOptions,
  end,
  introductionMs,
  survive,
  type LinkOptions,
  type RedisLink,
} from './redis-link.ts';
import type { Address } from './redis-settings.ts';

const askWhileBrokenMs = 250;
const askEveryMs = 5_000;
const mostRedirections = 4;

/** Begins to connect at once. `nodes` are those to begin with; the others are found. `random` is in [0, 1). */
export function createClusterLink(options: LinkOptions & { nodes: Address[]; random: () => number }): RedisLink {
  const { settings, nodes: startNodes, random, retryStrategy, onStanding, onBroken, onError } = options;
  const driver = driverOptions(settings);
  let { password } = settings;
  const cluster = new Cluster(startNodes, {
    enableOfflineQueue: false,
    // It asks over a connection that is still being made, and takes that for a broken cluster.
    enableReadyCheck: false,
    clusterRetryStrategy: retryStrategy,
    slotsRefreshTimeout: introductionMs,
    // Asked from here: the driver's own timer can outlive it.
    slotsRefreshInterval: 0,
    maxRedirections: mostRedirections,
    // A command that met a broken connection or a broken cluster has failed: as with one server, its caller decides.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    // Names stay names: certificates are made out to them, and they may lead elsewhere next time.
    dnsLookup: (host, callback) => callback(null, host),
    redisOptions: { ...driver, connectionName: 'postern' },
  });

  const open = new Set<Redis>();
  // The masters as the cluster itself named them last.
  let owners = new Set<string>();
  let primaries = new Map<string, Redis | undefined>();
  let standing = false;
  let closing = false;

  function look(): void {
    const nodes = new Map(cluster.nodes('master').map((node) => [addressOf(node), node]));
    primaries = new Map([...owners].map((address) => [address, nodes.get(address)]));
    const reached = [...primaries.values()].every((node) => node?.status === 'ready');
    const stands = reached && owners.size > 0 && cluster.status === 'ready' && !closing;
    if (stands === standing) return;
    standing = stands;
    if (stands) onStanding();
    else onBroken();
  }

  // Who owns a lost master's slots is known only when somebody asks; and to ask is also to connect to it again.
  let rounds = 0;
  const asking = setInterval(() => {
    rounds += 1;
    const isDue = !standing || rounds % (askEveryMs / askWhileBrokenMs) === 0;
    if (isDue && cluster.status === 'ready') cluster.refreshSlotsCache();
  }, askWhileBrokenMs).unref();

  cluster.on('+node', (node: Redis) => {
    open.add(node);
    Object.assign(node.options, { password });
    for (const event of ['ready', 'close']) node.on(event, look);
    // The driver may drop a node at any moment; its socket is there in the next turn.
    node.on('connecting', () => setImmediate(survive, node));
    node.once('end', () => open.delete(node));
    // Connected before the first command comes, which would otherwise be kept and sent after its caller has gone. Nobody reads from replicas.
    if (node.options.readOnly !== true) node.connect().catch(() => undefined);
  });
  cluster.on('refresh', () => {
    owners = new Set(cluster.nodes('master').map(addressOf));
    look();
  });
  for (const event of ['ready', '-node']) cluster.on(event, look);
  cluster.on('close', () => {
    look();
    // Not one node has answered yet.
    if (!standing) onBroken();
  });
  for (const event of ['error', 'node error']) cluster.on(event, onError);

  return {
    commands: cluster,
    primaries: () => primaries,
    gather: createGatherer(() => primaries.values()),
    async ping() {
      if (!standing) throw new Error('not every master of the cluster can be reached');
      await Promise.all(cluster.nodes('master').map((node) => node.ping()));
    },
    openMessages() {
      // Every node hears what is published at any: another one is tried each time.
      const anyNode = (): Address => {
        const reached = cluster.nodes('master').filter(({ status }) => status === 'ready');
        const known = reached.map(({ options: { host, port } }) => ({ host, port }) as Address);
        const [first, ...others] = known.length === 0 ? startNodes : known;
        return others[Math.floor(random() * (others.length + 1))] ?? (first as Address);
      };
      const messages = new Redis({
        ...driver,
        password,
        ...anyNode(),
        retryStrategy,
        connectionName: 'postern-messages',
      });
      messages.on('reconnecting', () => Object.assign(messages.options, anyNode(), { password }));
      return messages;
    },
    connectWith(passwords) {
      ({ password } = passwords);
      for (const { options } of open) Object.assign(options, { password });
    },
    restart() {
      for (const node of cluster.nodes('master')) node.disconnect();
    },
    async close() {
      closing = true;
      clearInterval(asking);
      const nodes = [...open];
      await cluster.quit().catch(() => undefined);
      await Promise.all(nodes.map(end));
      cluster.disconnect();
    },
  };
}

function addressOf(node: Redis): string {
  return `${node.options.host}:${node.options.port}`;
}
