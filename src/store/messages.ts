// What processes tell each other about sessions, as text on the wire and as calls in this process. Never a token.
import type { EndReason, StoreMessage } from './store.ts';

const endReasons: Record<EndReason, true> = { logout: true, replaced: true, revoked: true, 'back-channel': true };

/** Reads a message of the channel; undefined for what is none of ours, because anybody with the right may publish there. */
export function parseMessage(text: string): StoreMessage | undefined {
  const message = parseObject(text);
  if (typeof message?.['h'] !== 'string') return undefined;
  const { what, h, revision, reason } = message;
  switch (what) {
    case 'refreshed':
    case 'failed':
      return Number.isSafeInteger(revision) ? { what, h, revision: Number(revision) } : undefined;
    case 'ended':
      return isEndReason(reason) ? { what, h, reason } : undefined;
    default:
      return undefined;
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function isEndReason(value: unknown): value is EndReason {
  return typeof value === 'string' && Object.hasOwn(endReasons, value);
}

/** The listeners of this process. */
export function createListeners() {
  const listeners = new Set<(message: StoreMessage) => void>();
  return {
    /** Calls every listener soon, never within the caller: what a listener does or throws must not reach the write, or the driver's parser. */
    deliver(message: StoreMessage): void {
      for (const listener of listeners) {
        queueMicrotask(() => {
          if (listeners.has(listener)) listener(message);
        });
      }
    },
    /** Returns how to stop. */
    subscribe(listener: (message: StoreMessage) => void): () => void {
      // An entry of its own per subscription: the same function may listen twice and stop once.
      const entry = (message: StoreMessage) => listener(message);
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    clear: () => listeners.clear(),
  };
}
