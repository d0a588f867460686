// From the configuration's `redis` section to what the driver is given: secrets opened, certificates read.
import { readFileSync } from 'node:fs';
import type { Config } from '../config/schema.ts';

export interface Address {
  host: string;
  port: number;
}

/** Exactly one of `url`, `sentinel` and `cluster`. */
export interface RedisSettings {
  /** redis:// or rediss://; it may hold user, password and database. */
  url?: string;
  sentinel?: { name: string; nodes: Address[]; username?: string; password?: string };
  cluster?: { nodes: Address[] };
  username?: string;
  password?: string;
  database?: number;
  /** PEM. Present: every connection is TLS, to sentinels too, and none is made without. */
  tls?: { ca?: string; cert?: string; key?: string };
}

/** What lets a connection in, as the driver calls it. */
export interface RedisPasswords {
  password: string | undefined;
  sentinelPassword: string | undefined;
}

/** The only settings that can change while connections stand. Throws when the URL's password is not percent-encoded. */
export function redisPasswords({ url, sentinel, password }: NonNullable<Config['redis']>): RedisPasswords {
  const inUrl = url && decodeURIComponent(new URL(url.reveal()).password);
  return { password: inUrl || password?.reveal(), sentinelPassword: sentinel?.password?.reveal() };
}

/** Reads the certificates. Throws when a file is gone since the configuration was checked. */
export function redisSettings(section: NonNullable<Config['redis']>): RedisSettings {
  const { url, sentinel, cluster, username, password, database, tls } = section;
  return known({
    url: url?.reveal(),
    sentinel: sentinel && known({ ...sentinel, password: sentinel.password?.reveal() }),
    cluster,
    username,
    password: password?.reveal(),
    database,
    tls: tls && known({ ca: content(tls.ca), cert: content(tls.cert), key: content(tls.key) }),
  });
}

function content(pem: { file: string } | undefined): string | undefined {
  return pem && readFileSync(pem.file, 'utf8');
}

type Known<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> } & {
  [Key in keyof T as undefined extends T[Key] ? never : Key]: T[Key];
};

function known<T extends object>(values: T): Known<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Known<T>;
}
