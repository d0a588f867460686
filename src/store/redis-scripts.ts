// What Redis runs: one script per operation of the port, each atomic, each safe to be sent twice by the same owner.
// Every answer begins with the key it is about, so that an answer can never be taken for another session's.
// Redis 6.2 is the oldest that is supported; the clock is always the server's own.
import { createHash } from 'node:crypto';

/** Written into every record; a record of another format is left as it is. */
const recordFormat = '1';

/** What a record consists of besides `main`, the sealed tokens; in the order in which the scripts answer it. */
export const recordFields = [
  'format',
  'absoluteExpiresAt',
  'refreshExpiresAt',
  'attemptDeadlineAt',
  'h',
  'clientId',
  'issuer',
  'revision',
  'refreshedAt',
  'idleMs',
  'expiresAt',
  'retryAt',
  'attemptOwner',
  'committedBy',
] as const;

export interface Script {
  lua: string;
  sha1: string;
}

/** A script, and the hash that a server knows it by once it has run there. */
export function script(...parts: string[]): Script {
  const lua = parts.join('\n');
  return { lua, sha1: createHash('sha1').update(lua).digest('hex') };
}

const clock = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

// Every script that reads a token record starts so. A record past its absolute end is gone, whatever life its key has; so is one past its refresh token's
// end, unless that token is being spent: the answer must find the record. What another format means by its fields is unknown, so nothing of it is
// touched. One read is all that a good record costs; a refusal of it that says nothing about the record (of the ACL, say) is an outage, not an
// unreadable record. The small fields are answered as one JSON string: the driver takes several times as long over an array of as many.
const onRecord = `${clock}
local function answer(kind, detail) return { KEYS[1], kind, detail } end
local function field(name) return redis.call('HGET', KEYS[1], name) end
local function read() return redis.pcall('HMGET', KEYS[1], ${recordFields.map((name) => `'${name}'`).join(', ')}, 'main') end
local function snapshot(values)
  local main = table.remove(values)
  return { now, redis.call('PTTL', KEYS[1]), main, cjson.encode(values) }
end
local found = read()
if found.err then return string.find(found.err, '^WRONGTYPE') and answer('unreadable') or found end
local format, absoluteExpiresAt, refreshExpiresAt, attemptDeadlineAt = found[1], tonumber(found[2]), tonumber(found[3]), tonumber(found[4])
if not format and redis.call('EXISTS', KEYS[1]) == 0 then return answer('gone') end
if format ~= '${recordFormat}' then return answer('unreadable') end
local spentAt = refreshExpiresAt and math.max(refreshExpiresAt, attemptDeadlineAt or 0)
if now >= math.min(absoluteExpiresAt or math.huge, spentAt or math.huge) then return answer('gone') end`;

// The start of the arguments of every script of a refresh.
const attempt = `local revision, owner = ARGV[1], ARGV[2]`;

// A refused PUBLISH (an ACL without the channel) must not undo the write that it tells of: hence pcall.
const publish = `
local function publish(channel, message) redis.pcall('PUBLISH', channel, cjson.encode(message)) end`;

/** KEYS tokens. Whole or nothing: fields, remaining life and clock are of one instant. */
export const load = script(onRecord, `return answer('loaded', snapshot(found))`);

// A refresh under way, and what is left of an earlier one.
const attemptFields = `'attemptOwner', 'attemptDeadlineAt', 'attemptTakeover'`;

/** KEYS tokens, session. ARGV h, main, clientId, issuer, idleMs, absoluteMs, expiresInMs or '', refreshExpiresInMs or ''. Both records get the same life. A full Redis refuses a script at its first write or not at all: so the first is the one that needs room. */
export const put = script(
  clock,
  `
local idleMs, absoluteMs, expiresInMs, refreshExpiresInMs = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
redis.call('HSET', KEYS[1], 'format', '${recordFormat}', 'h', ARGV[1], 'main', ARGV[2], 'clientId', ARGV[3], 'issuer', ARGV[4],
  'revision', 1, 'refreshedAt', now, 'idleMs', idleMs, 'absoluteExpiresAt', now + absoluteMs)
redis.call('HDEL', KEYS[1], 'expiresAt', 'refreshExpiresAt', 'retryAt', 'committedBy', ${attemptFields})
if expiresInMs then redis.call('HSET', KEYS[1], 'expiresAt', now + expiresInMs) end
if refreshExpiresInMs then redis.call('HSET', KEYS[1], 'refreshExpiresAt', now + refreshExpiresInMs) end
local ttlMs = math.min(idleMs, absoluteMs)
redis.call('PEXPIRE', KEYS[1], ttlMs)
redis.call('PEXPIRE', KEYS[2], ttlMs)
return { KEYS[1] }`,
);

/** KEYS tokens. ARGV revision, owner, deadlineMs. At most one owner at a time is told 'begun' until its deadline; the revision is looked at first, so that a finished refresh is seen by all. */
export const begin = script(
  onRecord,
  attempt,
  `
if field('revision') ~= revision then return answer('moved', snapshot(found)) end
local retryAt = tonumber(field('retryAt') or 0)
if now < retryAt then return answer('back-off', retryAt - now) end
local standing, deadlineAt = field('attemptOwner'), tonumber(field('attemptDeadlineAt'))
if standing == owner then return answer('begun', tonumber(field('attemptTakeover'))) end
if standing and now < deadlineAt then return answer('wait', deadlineAt - now) end
local takeover = standing and 1 or 0
redis.call('HSET', KEYS[1], 'attemptOwner', owner, 'attemptDeadlineAt', now + ARGV[3], 'attemptTakeover', takeover)
return answer('begun', takeover)`,
);

/** KEYS tokens. ARGV revision, owner, channel, h, main, expiresInMs or '', refreshExpiresInMs or ''. Writes over the revision it was begun on or not at all, and never makes a record. The life of its key is not touched. */
export const commit = script(
  onRecord,
  publish,
  attempt,
  `
if field('revision') ~= revision then return answer(field('committedBy') == owner and 'committed' or 'moved', snapshot(found)) end
local expiresInMs, refreshExpiresInMs = tonumber(ARGV[6]), tonumber(ARGV[7])
redis.call('HSET', KEYS[1], 'main', ARGV[5], 'revision', revision + 1, 'refreshedAt', now, 'committedBy', owner)
if expiresInMs then redis.call('HSET', KEYS[1], 'expiresAt', now + expiresInMs) else redis.call('HDEL', KEYS[1], 'expiresAt') end
if refreshExpiresInMs then redis.call('HSET', KEYS[1], 'refreshExpiresAt', now + refreshExpiresInMs) end
redis.call('HDEL', KEYS[1], 'retryAt', ${attemptFields})
publish(ARGV[3], { what = 'refreshed', h = ARGV[4], revision = revision + 1 })
return answer('committed', snapshot(read()))`,
);

/** KEYS tokens. ARGV revision, channel, h, main, expiresAt or '', refreshedAt, committedBy, refreshExpiresAt or ''. Writes what a failover undid, and nothing that is newer or gone. */
export const restore = script(
  onRecord,
  publish,
  `
local revision = tonumber(ARGV[1])
if tonumber(field('revision')) >= revision then return answer('kept') end
redis.call('HSET', KEYS[1], 'main', ARGV[4], 'revision', revision, 'refreshedAt', ARGV[6], 'committedBy', ARGV[7])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'expiresAt', ARGV[5]) else redis.call('HDEL', KEYS[1], 'expiresAt') end
if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'refreshExpiresAt', ARGV[8]) end
redis.call('HDEL', KEYS[1], 'retryAt', ${attemptFields})
publish(ARGV[2], { what = 'refreshed', h = ARGV[3], revision = revision })
return answer('restored')`,
);

/** KEYS tokens. ARGV revision, owner, channel, h, retryAfterMs. An attempt that is not the owner's stays as it stands. */
export const fail = script(
  onRecord,
  publish,
  attempt,
  `
if field('revision') ~= revision or field('attemptOwner') ~= owner then return answer('kept') end
redis.call('HDEL', KEYS[1], ${attemptFields})
redis.call('HSET', KEYS[1], 'retryAt', now + ARGV[5])
publish(ARGV[3], { what = 'failed', h = ARGV[4], revision = tonumber(revision) })
return answer('failed')`,
);

/** KEYS tokens, session. ARGV revision, owner, channel, h, reason. Ends nothing that another attempt holds or has renewed. */
export const endIf = script(
  onRecord,
  publish,
  attempt,
  `
if field('revision') ~= revision or field('attemptOwner') ~= owner then return answer('kept', snapshot(found)) end
redis.call('DEL', KEYS[1], KEYS[2])
publish(ARGV[3], { what = 'ended', h = ARGV[4], reason = ARGV[5] })
return answer('ended')`,
);

/** KEYS tokens, session. ARGV channel, h, reason. Deletes whatever is there, of any format, and tells of it even when nothing was: another process may still hold it in memory. */
export const end = script(
  publish,
  `
local existed = redis.call('EXISTS', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[2])
publish(ARGV[1], { what = 'ended', h = ARGV[2], reason = ARGV[3] })
return { KEYS[1], existed }`,
);

/** KEYS tokens, session. Activity never moves the absolute end, and never makes a record. */
export const slide = script(
  onRecord,
  `
local ttlMs = math.min(tonumber(field('idleMs')), absoluteExpiresAt - now)
redis.call('PEXPIRE', KEYS[1], ttlMs)
redis.call('PEXPIRE', KEYS[2], ttlMs)
return answer('slid')`,
);

/** KEYS one. */
export const read = script(`return { KEYS[1], redis.call('GET', KEYS[1]) }`);

/** KEYS one. ARGV value, ttlSeconds. */
export const write = script(`
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return { KEYS[1] }`);

/** KEYS one. */
export const remove = script(`
redis.call('DEL', KEYS[1])
return { KEYS[1] }`);

/** KEYS one. ARGV claimant, ttlSeconds. The first claimant stays the only one; its own second call is not its replay. */
export const claim = script(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then return { KEYS[1], 1 } end
return { KEYS[1], redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0 }`);

// What ends every script that writes an index: a key without members is gone by itself.
const tidyIndex = `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] then redis.call('PEXPIREAT', KEYS[1], last[2]) end
return { KEYS[1] }`;

/** KEYS index. ARGV h, absoluteMs. */
export const indexAdd = script(clock, `redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])`, tidyIndex);

/** KEYS index. ARGV h. */
export const indexRemove = script(clock, `redis.call('ZREM', KEYS[1], ARGV[1])`, tidyIndex);

/** KEYS index. Only what has not expired, oldest first. */
export const indexFind = script(
  clock,
  `return { KEYS[1], redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%d', now), '+inf') }`,
);

/** KEYS one. ARGV instant, ttlSeconds. The latest instant stays, whichever comes last. */
export const mark = script(`
local standing = tonumber(redis.call('GET', KEYS[1]) or 0)
redis.call('SET', KEYS[1], string.format('%d', math.max(standing, tonumber(ARGV[1]))), 'EX', ARGV[2])
return { KEYS[1] }`);

/** KEYS one. Two takers never both get it. */
export const take = script(`return { KEYS[1], redis.call('GETDEL', KEYS[1]) }`);
