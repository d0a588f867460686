// A map whose entries die: by the clock when they are read, and swept when nobody reads them any more.

// How many entries one sweep looks at: its cost is bounded, and the next one goes on from there.
const sweepSize = 1_000;

/** Entries with an instant (ms, on the clock given) at which they are gone. */
export class ExpiringMap<V> {
  readonly #entries = new Map<string, { value: V; expiresAt: number }>();
  readonly #now: () => number;
  #unswept = this.#entries.entries();

  constructor(now: () => number) {
    this.#now = now;
  }

  get(key: string): V | undefined {
    return this.#live(key)?.value;
  }

  /** When the entry dies; undefined when there is none. */
  expiresAt(key: string): number | undefined {
    return this.#live(key)?.expiresAt;
  }

  set(key: string, value: V, ttlMs: number): void {
    this.#entries.set(key, { value, expiresAt: this.#now() + ttlMs });
  }

  /** Gives an entry another life; a missing one stays missing. */
  expire(key: string, ttlMs: number): void {
    const entry = this.#live(key);
    if (entry !== undefined) entry.expiresAt = this.#now() + ttlMs;
  }

  /** True when there was a living entry. */
  delete(key: string): boolean {
    const lived = this.#live(key) !== undefined;
    this.#entries.delete(key);
    return lived;
  }

  /** Drops the dead among the next entries; called again and again it comes round. */
  sweep(): void {
    const now = this.#now();
    for (let looked = 0; looked < sweepSize; looked += 1) {
      const next = this.#unswept.next();
      if (next.done === true) {
        this.#unswept = this.#entries.entries();
        return;
      }
      const [key, { expiresAt }] = next.value;
      if (expiresAt <= now) this.#entries.delete(key);
    }
  }

  /** Entries that are held, dead ones that nobody has met yet included. */
  get size(): number {
    return this.#entries.size;
  }

  #live(key: string): { value: V; expiresAt: number } | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || this.#now() < entry.expiresAt) return entry;
    this.#entries.delete(key);
    return undefined;
  }
}
