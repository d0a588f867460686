// What processes tell each other about sessions, as text on the wire and as calls in this process. Never a token.
import type { EndReason, StoreListener, StoreMessage } from './store.ts';

const endReasons: Record<EndReason, true> = {
  logout: true,
  replaced: true,
  revoked: true,
  'back-channel': true,
  'front-channel': true,
  limit: true,
  admin: true,
};

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

/** The listeners of this process. They are called soon, never within the caller: what one does or throws must not reach the write, or the driver's parser. */
export function createListeners() {
  const listeners = new Set<StoreListener>();

  function tell(call: (listener: StoreListener) => void): void {
    for (const listener of listeners) {
      queueMicrotask(() => {
        if (listeners.has(listener)) call(listener);
      });
    }
  }

  return {
    deliver: (message: StoreMessage) => tell((listener) => listener.message(message)),
    silence: () => tell((listener) => listener.silence()),
    reconnect: () => tell((listener) => listener.reconnect()),
    /** Returns how to stop. */
    subscribe(listener: StoreListener): () => void {
      // An entry of its own per subscription: the same listener may subscribe twice and stop once.
      const entry: StoreListener = {
        message: (message) => listener.message(message),
        silence: () => listener.silence(),
        reconnect: () => listener.reconnect(),
      };
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    clear: () => listeners.clear(),
  };
}
