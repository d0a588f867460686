// The store in Redis (or Valkey), for several processes and restarts: each operation is one script, each script one round trip.
import { logoutTicketKey, messagesChannel, namedKey, sessionKey, tokensKey } from './keys.ts';
import { createListeners, parseMessage } from './messages.ts';
import { createRedisConnection, type RedisConnectionOptions } from './redis-connection.ts';
import { toBeginOutcome, toCommitOutcome, toEndIfOutcome, toLoaded, toMembers, toText } from './redis-replies.ts';
import * as scripts from './redis-scripts.ts';
import type { RedisPasswords, RedisSettings } from './redis-settings.ts';
import type { Store } from './store.ts';

export type RedisStoreOptions = RedisSettings &
  Pick<RedisConnectionOptions, 'now' | 'random' | 'onStateChange' | 'onMessagesRefused'>;

export interface RedisStore extends Store {
  /** Makes every connection from now on with these; those that stand stay. */
  connectWith(passwords: RedisPasswords): void;
}

/** Never throws and never waits: while Redis is out of reach every operation fails with StoreUnavailable within a second. */
export function createRedisStore(options: RedisStoreOptions): RedisStore {
  const listeners = createListeners();
  const redis = createRedisConnection({
    ...options,
    channel: messagesChannel,
    onMessage(text) {
      const message = parseMessage(text);
      if (message !== undefined) listeners.deliver(message);
    },
    onSilence: () => listeners.silence(),
    onReconnect: () => listeners.reconnect(),
  });

  return {
    async load(h) {
      return toLoaded(h, await redis.run(scripts.load, [tokensKey(h)]));
    },

    async put(h, { main, clientId, issuer, idleMs, absoluteMs, expiresInMs, refreshExpiresInMs }) {
      const spans = [idleMs, absoluteMs, expiresInMs, refreshExpiresInMs].map(whole);
      await redis.run(scripts.put, bothKeys(h), [h, main, clientId, issuer, ...spans]);
    },

    async begin({ h, revision, owner }, deadlineMs) {
      return toBeginOutcome(h, await redis.run(scripts.begin, [tokensKey(h)], [revision, owner, whole(deadlineMs)]));
    },

    async commit({ h, revision, owner }, { main, expiresInMs, refreshExpiresInMs }) {
      const args = [revision, owner, messagesChannel, h, main, whole(expiresInMs), whole(refreshExpiresInMs)];
      return toCommitOutcome(h, await redis.run(scripts.commit, [tokensKey(h)], args));
    },

    async fail({ h, revision, owner }, retryAfterMs) {
      await redis.run(scripts.fail, [tokensKey(h)], [revision, owner, messagesChannel, h, whole(retryAfterMs)]);
    },

    async endIf({ h, revision, owner }, reason) {
      const args = [revision, owner, messagesChannel, h, reason];
      return toEndIfOutcome(h, await redis.run(scripts.endIf, bothKeys(h), args));
    },

    async end(h, reason) {
      const [existed] = await redis.run(scripts.end, bothKeys(h), [messagesChannel, h, reason]);
      return existed === 1;
    },

    async slide(h) {
      await redis.run(scripts.slide, bothKeys(h));
    },

    async restore(h, { revision, main, expiresAt, refreshedAt, committedBy = '', refreshExpiresAt }) {
      const args = [revision, messagesChannel, h, main, whole(expiresAt), whole(refreshedAt), committedBy];
      await redis.run(scripts.restore, [tokensKey(h)], [...args, whole(refreshExpiresAt)]);
    },

    async readSession(h) {
      return toText(await redis.run(scripts.read, [sessionKey(h)]));
    },

    async writeSession(h, json, ttlSeconds) {
      await redis.run(scripts.write, [sessionKey(h)], [json, whole(ttlSeconds)]);
    },

    async deleteSession(h) {
      await redis.run(scripts.remove, [sessionKey(h)]);
    },

    async claimOnce(key, claimant, ttlSeconds) {
      const [claimed] = await redis.run(scripts.claim, [namedKey(key)], [claimant, whole(ttlSeconds)]);
      return claimed === 1;
    },

    async indexAdd(key, h, absoluteMs) {
      await redis.run(scripts.indexAdd, [namedKey(key)], [h, whole(absoluteMs)]);
    },

    async indexFind(key) {
      return toMembers(await redis.run(scripts.indexFind, [namedKey(key)]));
    },

    async indexRemove(key, h) {
      await redis.run(scripts.indexRemove, [namedKey(key)], [h]);
    },

    async mark(key, at, ttlSeconds) {
      await redis.run(scripts.mark, [namedKey(key)], [whole(at), whole(ttlSeconds)]);
    },

    async marked(key) {
      const text = toText(await redis.run(scripts.read, [namedKey(key)]));
      return text === null ? null : Number(text);
    },

    async putLogoutTicket(key, sealed, ttlSeconds) {
      await redis.run(scripts.write, [logoutTicketKey(key)], [sealed, whole(ttlSeconds)]);
    },

    async takeLogoutTicket(key) {
      return toText(await redis.run(scripts.take, [logoutTicketKey(key)]));
    },

    subscribe: (listener) => listeners.subscribe(listener),
    listening: () => redis.listening(),
    ping: () => redis.ping(),
    settled: () => redis.settled(),
    connectWith: (passwords) => redis.connectWith(passwords),

    async close() {
      listeners.clear();
      await redis.close();
    },
  };
}

function bothKeys(h: string): [string, string] {
  return [tokensKey(h), sessionKey(h)];
}

// Redis takes whole spans only; the empty string is "the provider did not say".
function whole(span: number): number;
function whole(span: number | undefined): number | '';
function whole(span: number | undefined): number | '' {
  return span === undefined ? '' : Math.ceil(span);
}
