// Proof that messages arrive. A subscription can fall silent without any connection breaking; so this process sends itself a beat every second, the way
// messages travel, and believes the silence between messages only while its beats come back.

const beatEveryMs = 1_000;
/** Counted from the sending of the last beat that came back: what was published before it has been heard. */
const silentAfterMs = 2_500;

export interface Pulse {
  /** A beat came back: the text that a sender was given. */
  heard(text: string): void;
  /** Whether the last beat by every sender was sent, and came back, within 2.5 s. */
  isAlive(): boolean;
  /** The subscription is known to be broken: not alive until new beats come back. */
  interrupt(): void;
  stop(): void;
}

/**
 * @param senders by name, those whose messages must arrive: one for a single primary, each master of a cluster
 * @param onSilence called when the pulse stops, once for each time
 */
export function createPulse(options: {
  senders: () => ReadonlyMap<string, (text: string) => void>;
  now: () => number;
  onSilence: () => void;
}): Pulse {
  const { senders, now, onSilence } = options;
  const heardAt = new Map<string, number>();
  let wasAlive = false;

  function isAlive(): boolean {
    const names = senders();
    if (names.size === 0) return false;
    for (const name of names.keys()) if (now() - (heardAt.get(name) ?? -Infinity) > silentAfterMs) return false;
    return true;
  }

  function noticeSilence(): void {
    const alive = isAlive();
    if (wasAlive && !alive) onSilence();
    wasAlive = alive;
  }

  function beat(): void {
    noticeSilence();
    for (const [name, send] of senders()) send(`${now()} ${name}`);
  }

  const timer = setInterval(beat, beatEveryMs).unref();

  return {
    heard(text) {
      const space = text.indexOf(' ');
      const sentAt = Number(text.slice(0, space));
      const name = text.slice(space + 1);
      heardAt.set(name, Math.max(sentAt, heardAt.get(name) ?? -Infinity));
      noticeSilence();
    },
    isAlive,
    interrupt() {
      heardAt.clear();
      noticeSilence();
    },
    stop: () => clearInterval(timer),
  };
}
