// Everything that doctor found, in the shape that `--json` prints. docs/doctor.md describes it; members are added, never changed.
import { describeKeys } from '../config/explain.ts';
import type { Config } from '../config/schema.ts';
import type { ProviderExamination } from '../oidc/examination.ts';
import type { RedisExamination } from '../store/redis-examination.ts';
import { featuresOf } from './features.ts';
import type { Features } from './features.ts';
import { lifetimesOf } from './lifetimes.ts';
import type { Lifetime } from './lifetimes.ts';
import { isHealthy } from './observation.ts';
import type { Observation } from './observation.ts';
import { observeFeatures } from './provider-features.ts';
import { observeLogout } from './provider-logout.ts';
import { observeReach } from './provider-reach.ts';
import { observeRefresh } from './provider-refresh.ts';
import { registrationsFor } from './registration.ts';
import type { Registration } from './registration.ts';
import { observeStore } from './store.ts';

export interface Report {
  /** The configuration's file, as it was named. */
  file: string;
  /** Whether everything would work: no observation is a failure. */
  ok: boolean;
  provider: {
    issuer: string;
    /** null while the provider cannot be asked. */
    features: Features | null;
    observations: Observation[];
  };
  store: { kind: 'memory' | 'server' | 'sentinel' | 'cluster'; observations: Observation[] };
  register: Registration[];
  lifetimes: Lifetime[];
  keys: string[];
  /** What `postern check` says on stderr. */
  warnings: string[];
}

export interface Examined {
  config: Config;
  provider: ProviderExamination;
  /** Undefined where there is no `redis` section. */
  redis: RedisExamination | undefined;
  /** Epoch ms. */
  now: number;
}

export function reportOn(file: string, warnings: string[], { config, provider, redis, now }: Examined): Report {
  const features = provider.kind === 'metadata' ? featuresOf(provider.metadata) : undefined;
  const ofProvider = [
    ...observeReach(config.provider, provider, now),
    ...(features === undefined
      ? []
      : [
          ...observeFeatures(config, features),
          ...observeLogout(config, features),
          ...observeRefresh(config, features),
        ]),
  ];
  const ofStore = observeStore(config, redis);
  return {
    file,
    ok: isHealthy([...ofProvider, ...ofStore]),
    provider: { issuer: config.provider.issuer, features: features ?? null, observations: ofProvider },
    store: { kind: storeKind(config), observations: ofStore },
    register: registrationsFor(config, features),
    lifetimes: lifetimesOf(config),
    keys: keysOf(config),
    warnings,
  };
}

function storeKind({ redis }: Config): Report['store']['kind'] {
  if (redis === undefined) return 'memory';
  if (redis.sentinel !== undefined) return 'sentinel';
  return redis.cluster === undefined ? 'server' : 'cluster';
}

function keysOf(config: Config): string[] {
  const ring = describeKeys(config);
  return ring.length > 0
    ? ring
    : config.session.keys.map(({ origin }) => `session.keys[0] (${origin}) signs and seals`);
}
