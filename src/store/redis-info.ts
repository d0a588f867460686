// What a server says of itself in INFO, read for what matters to sessions.

export interface ServerInfo {
  product: 'Redis' | 'Valkey';
  /** Such as `7.2.4`; undefined when the server does not say. */
  version: string | undefined;
  mode: 'standalone' | 'sentinel' | 'cluster' | undefined;
  isReplica: boolean;
  /** How many replicas follow it now. */
  replicas: number;
  /** Whether it takes writes only while replicas follow (min-replicas-to-write). */
  asksForReplicas: boolean;
  evictionPolicy: string | undefined;
  usedMemory: number;
  /** In bytes; 0 is no limit. */
  memoryLimit: number;
  appendOnly: boolean;
}

/** Reads the text that INFO answers. */
export function parseInfo(text: string): ServerInfo {
  const fields = new Map(
    text.split(/\r?\n/).map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1)] as const;
    }),
  );
  const number = (name: string): number => Number(fields.get(name) ?? 0);
  const valkey = fields.get('valkey_version');
  return {
    product: valkey === undefined ? 'Redis' : 'Valkey',
    version: valkey ?? fields.get('redis_version'),
    mode: modeOf(fields.get('redis_mode') ?? fields.get('server_mode')),
    isReplica: fields.get('role') === 'slave',
    replicas: number('connected_slaves'),
    // It is told only where min-replicas-to-write is set.
    asksForReplicas: fields.has('min_slaves_good_slaves'),
    evictionPolicy: fields.get('maxmemory_policy'),
    usedMemory: number('used_memory'),
    memoryLimit: number('maxmemory'),
    appendOnly: fields.get('aof_enabled') === '1',
  };
}

function modeOf(text: string | undefined): ServerInfo['mode'] {
  return text === 'standalone' || text === 'sentinel' || text === 'cluster' ? text : undefined;
}

const oldest = { Redis: [6, 2], Valkey: [7, 2] } as const;

/** Whether a version is one that Postern can use: Redis 6.2, Valkey 7.2, or newer. */
export function isSupported({ product, version }: Pick<ServerInfo, 'product' | 'version'>): boolean {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  const [leastMajor, leastMinor] = oldest[product];
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}
