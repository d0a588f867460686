// Which of the commands that Postern's scripts call a server would refuse this user, or anybody at the moment.
// All but one are asked where they can do nothing, on a key that is not there; the one that must make it is undone in the same script.
import { script } from './redis-scripts.ts';

/** A command that was refused, and the server's reason. */
export interface Refusal {
  command: string;
  error: string;
}

/** KEYS one that does not exist. ARGV channel. Each command that is refused, with the reason. */
export const tryCommands = script(`
local refused, names = {}, {}
local function try(name, ...)
  local reply = redis.pcall(name, ...)
  if type(reply) ~= 'table' or not reply.err then return end
  names[name] = true
  table.insert(refused, { name, reply.err })
end
try('TIME')
-- A full server refuses a script at its first write or not at all: so the first is one that would need room.
try('SET', KEYS[1], 'value', 'XX', 'EX', 10)
for _, name in ipairs({ 'EXISTS', 'GET', 'GETDEL', 'PTTL', 'DEL' }) do try(name, KEYS[1]) end
try('HGET', KEYS[1], 'field')
try('HMGET', KEYS[1], 'field')
try('HDEL', KEYS[1], 'field')
try('PEXPIRE', KEYS[1], 10000)
try('PEXPIREAT', KEYS[1], 1)
try('ZADD', KEYS[1], 'XX', 1, 'member')
try('ZRANGE', KEYS[1], 0, -1)
try('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf')
try('ZREM', KEYS[1], 'member')
try('ZREMRANGEBYSCORE', KEYS[1], '-inf', '+inf')
try('PUBLISH', ARGV[1], '')
if not names['DEL'] then
  try('HSET', KEYS[1], 'field', 'value')
  redis.pcall('PEXPIRE', KEYS[1], 10000)
  redis.call('DEL', KEYS[1])
end
return refused`);

/** What `tryCommands` answers. */
export function toRefusals(reply: unknown): Refusal[] {
  if (!Array.isArray(reply)) return [];
  return reply.map((pair) => {
    const [command, error] = pair as [unknown, unknown];
    return { command: String(command), error: reasonIn(String(error)) };
  });
}

/** An error of the server without what it says of the script that met it, and without the arguments that it repeats: a password may be among them. One line. */
export function reasonIn(error: string): string {
  const reason = error.replace(/ script: [^:]*on @.*$|,? with args beginning with.*$/s, '');
  return reason.replaceAll(/\p{Cc}/gu, ' ').slice(0, 200);
}
