// Several Posterns behind one publicUrl, each in a process of its own, with one store, one key and one real provider.
import { freePort } from './free-port.ts';
import { baseConfig, register, startPosternProcess } from './postern.ts';
import type { ConfigInput, Postern, PosternProcess } from './postern.ts';
import { startRealProvider } from './real-provider.ts';
import type { RealProvider, RealProviderOptions } from './real-provider.ts';

export interface ReplicasOptions {
  count: number;
  /** On top of `baseConfig`: the store that they share, the routes. */
  config: ConfigInput;
  provider?: RealProviderOptions;
}

/** Starts a provider and `count` processes for a claim, and ends them after it. */
export async function withReplicas(
  { count, config, provider: providerOptions }: ReplicasOptions,
  claim: (provider: RealProvider, replicas: PosternProcess[]) => Promise<void>,
): Promise<void> {
  const provider = await startRealProvider(providerOptions);
  const shared = baseConfig(await freePort(), provider, config);
  register(provider, String(shared['publicUrl']));
  const replicas: PosternProcess[] = [];
  try {
    for (let index = 0; index < count; index += 1) {
      replicas.push(await startPosternProcess({ ...shared, ...(index > 0 && { listen: '127.0.0.1:0' }) }));
    }
    await claim(provider, replicas);
  } finally {
    await Promise.all(replicas.map((replica) => replica.stop()));
    await provider.close();
  }
}

/** The token calls that spent a refresh token, oldest first. */
export const refreshesOf = (provider: RealProvider) => provider.endpoints.seen('token', 'refresh_token');

/** What a metric of a process stands at: its name, with its labels where it has some. 0 when it has not been counted yet. */
export async function metricOf(postern: Postern, name: string): Promise<number> {
  const text = await (await fetch(`${postern.operationsUrl}/metrics`)).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}
