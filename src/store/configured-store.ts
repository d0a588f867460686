// The store that the configuration asks for: this process's memory, or Redis, whose certificates are followed. Connections that stand stay;
// the driver looks at its TLS settings and passwords at each new one.
import { readPems, tlsFlaw } from '../config/pem.ts';
import type { Config } from '../config/schema.ts';
import type { Audit } from '../telemetry/audit.ts';
import { followFiles, readFollowed } from '../telemetry/followed-files.ts';
import type { Logger } from '../telemetry/log.ts';
import { createMemoryStore } from './memory.ts';
import { redisSettings } from './redis-settings.ts';
import type { RedisPasswords, RedisSettings } from './redis-settings.ts';
import { createRedisStore } from './redis.ts';
import type { Store } from './store.ts';

export interface ConfiguredStore {
  store: Store;
  /** Whether it can be reached, and whether it ever could. */
  reached: { readonly once: boolean; readonly now: boolean };
  /** Makes every connection to Redis from now on with these; those that stand stay. */
  connectWith(passwords: RedisPasswords): void;
}

export interface ConfiguredStoreOptions {
  /** Epoch ms, never going backwards. */
  now: () => number;
  audit: Audit;
  log: Logger;
}

/** Throws when a file that the section names is gone since the configuration was checked. */
export function createConfiguredStore(
  redis: Config['redis'],
  { now, audit, log }: ConfiguredStoreOptions,
): ConfiguredStore {
  if (redis === undefined) {
    return {
      store: createMemoryStore({ now }),
      reached: { once: true, now: true },
      connectWith: () => undefined,
    };
  }
  const reached = { once: false, now: false };
  const settings = redisSettings(redis);
  const followed = followCertificates(redis.tls, settings.tls, audit);
  const store = createRedisStore({
    ...settings,
    now,
    random: Math.random,
    onStateChange(state, cause) {
      reached.now = state === 'up';
      reached.once ||= reached.now;
      if (reached.now) log.info('the session store is there');
      else
        log.warn({ err: cause }, 'the session store is out of reach: sessions are kept, calls that need one get 503');
    },
    onMessagesRefused: (cause) =>
      log.error(
        { err: cause },
        'the session store refuses its channel postern:messages: logouts elsewhere are seen only when the store is asked',
      ),
  });
  const close = async (): Promise<void> => {
    followed.close();
    await store.close();
  };
  return { store: { ...store, close }, reached, connectWith: (passwords) => store.connectWith(passwords) };
}

/** @param inUse what the driver is given: it keeps this very object */
function followCertificates(
  section: NonNullable<Config['redis']>['tls'],
  inUse: RedisSettings['tls'],
  audit: Audit,
): { close(): void } {
  if (section === undefined || inUse === undefined) return { close: () => undefined };
  return followFiles({
    setting: 'redis.tls',
    files: [section.ca, section.cert, section.key].flatMap((pem) => pem?.file ?? []),
    current: { ...inUse },
    read: () => readPems(section, readFollowed),
    textOf: ({ ca, cert, key }) => JSON.stringify([ca, cert, key]),
    flawOf: tlsFlaw,
    take: (pems) => void Object.assign(inUse, pems),
    audit,
  });
}
