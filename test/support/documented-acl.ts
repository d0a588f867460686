// The ACL user exactly as docs/redis.md gives it, so that the page cannot promise what does not work.
import { readFile } from 'node:fs/promises';
import type { RedisServer } from './redis.ts';

export const aclUser = { username: 'postern', password: 'a-password-of-the-test' };

/** The rules of the user, without its password. */
export async function documentedRules(): Promise<string[]> {
  const page = await readFile('docs/redis.md', 'utf8');
  const [, line] = /^ACL SETUSER postern (.+)$/m.exec(page)!;
  return line!.split(' ').filter((rule) => !rule.startsWith('>'));
}

/** Makes the user on each server. */
export async function makeAclUser(servers: RedisServer[]): Promise<void> {
  const rules = await documentedRules();
  for (const server of servers) {
    await server.command('ACL', 'SETUSER', aclUser.username, 'reset', `>${aclUser.password}`, ...rules);
  }
}
