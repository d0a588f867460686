// How a refresh waits for the one that another process is at: until a message says that something has become of it.
import type { StoreMessage } from '../store/store.ts';

/** For one waiter at a time per session. */
export function createWakers() {
  const wakers = new Map<string, () => void>();

  return {
    /** Resolves at the next message about the session, or after `atMostMs`. */
    async wakened(h: string, atMostMs: number): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const wake = (): void => resolve(undefined);
      wakers.set(h, wake);
      const timer = setTimeout(wake, atMostMs);
      await promise;
      clearTimeout(timer);
      wakers.delete(h);
    },

    notice(message: StoreMessage): void {
      wakers.get(message.h)?.();
    },
  };
}
