// oidc-provider's adapter: everything in one Map, and clients looked up at each request so that tests can change them.

interface Payload {
  [name: string]: unknown;
  grantId?: string;
  uid?: string;
  consumed?: number;
}

/** What oidc-provider asks of an adapter class; it awaits every answer, so plain values do. */
export function createProviderStorage(findClient: (id: string) => Payload | undefined) {
  const entries = new Map<string, { payload: Payload; expiresAt: number }>();
  const grants = new Map<string, string>();

  function read(key: string): Payload | undefined {
    const entry = entries.get(key);
    return entry !== undefined && entry.expiresAt > Date.now() ? entry.payload : undefined;
  }

  class Adapter {
    readonly #model: string;

    constructor(model: string) {
      this.#model = model;
    }

    upsert(id: string, payload: Payload, expiresIn?: number): void {
      const expiresAt = expiresIn === undefined ? Infinity : Date.now() + expiresIn * 1000;
      entries.set(`${this.#model}:${id}`, { payload, expiresAt });
      if (payload.grantId !== undefined) grants.set(id, payload.grantId);
    }

    find(id: string): Payload | undefined {
      return this.#model === 'Client' ? findClient(id) : read(`${this.#model}:${id}`);
    }

    findByUid(uid: string): Payload | undefined {
      const found = [...entries].find(([key, { payload }]) => key.startsWith(`${this.#model}:`) && payload.uid === uid);
      return found && read(found[0]);
    }

    consume(id: string): void {
      const payload = read(`${this.#model}:${id}`);
      if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000);
    }

    destroy(id: string): void {
      entries.delete(`${this.#model}:${id}`);
    }

    revokeByGrantId(grantId: string): void {
      for (const [key, { payload }] of entries) if (payload.grantId === grantId) entries.delete(key);
    }
  }

  return {
    Adapter,
    /** The grant that a code or a refresh token belongs or belonged to: what all tokens of one login have in common. */
    grantOf: (id: string): string | undefined => grants.get(id),
    /** Deletes everything but the browsers' sessions: every code and token is unknown from now on. */
    forgetGrants: (): void => {
      for (const key of entries.keys()) if (!key.startsWith('Session:')) entries.delete(key);
    },
  };
}
