// What a login puts into a store, and sessions to put it under.
import type { NewTokenRecord } from '../../src/store/store.ts';

export const minute = 60_000;

/** Five minutes of an access token, half an hour of idleness, twelve hours in all. */
export const login: NewTokenRecord = {
  main: 'sealed-1',
  expiresInMs: 300_000,
  idleMs: 1_800_000,
  absoluteMs: 43_200_000,
  clientId: 'shop-bff',
  issuer: 'https://id.example.com',
};

/** Names of two sessions, as they are in a store. */
export const h = 'jZae727K08KaOmKSgOaGzww_XVqGr_PKEgIMkjrcbJI';
export const other = 'wNlT4NYyAZoCQPwQ1gJgL-PAeqwRZgWUyvC1i5mKMbg';
