/**
 * The store's operations as scripts: each is atomic, and takes its time from the server, so that processes whose clocks
 * disagree agree on leases.
 *
 * A record is a hash of two fields. `m` is packed: the mark of this layout, state (a, d, r), fence, lease until, window
 * end, expiry, fingerprint, owner. `b` is the response. With a field for each value, and more to do for the set with each
 * key, an execution took the server 1.4 times as long and a key 1.4 times the memory; with the response packed too, one
 * of 1 MB took it 1.6 times as long, since Lua copies it once more.
 *
 * `KEYS[1]` is the record, `KEYS[2]` the sorted set of its scope's keys by expiry: both are of one hash slot. Times are
 * milliseconds.
 */

/** What every script begins with: the server's own time. */
export const SERVER_TIME = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`

/** In its place: the time that a test tells, as the last argument. */
export const TOLD_TIME = `
local now = tonumber(ARGV[#ARGV])
`

/** The values of `m`; no state when it has expired. */
const OPEN = `
if not struct then return redis.error_reply('HOLDFAST no struct: Lua of this server lacks that library') end
local s, n, l, w, x, f, o
if m then
  if string.sub(m, 1, 4) ~= 'hf1:' then return redis.error_reply('HOLDFAST foreign record: not of layout hf1') end
  s, n, l, w, x, f, o = struct.unpack('>c1ddddI4c0I4c0', m, 5)
  if x <= now then s = nil end
end
`

const FIND = `
local m = redis.call('HGET', KEYS[1], 'm')
${OPEN}`

/**
 * `x` decides what has expired; Redis forgets the record a minute later. Its scope's set outlives the last of its keys by
 * up to a minute, so that its own expiry is written once a minute and not for each of them. Both names go on with five
 * characters (`:key:`, `:keys`), so the key begins where the name of the set ends. Where the window ends as was said
 * when the key was taken, as nearly always, there is nothing to say of it again.
 *
 * A script that fails in its middle is not undone. Whatever its user may not do fails before a new record is there,
 * which would have no expiry: by calls that change nothing yet, the first one of a kind that a full Redis refuses. They
 * are made with those that write the expiry of the set, once a minute: nobody without these rights gets beyond them.
 */
const PUT = `
local function put(s, n, l, w, at, f, o, b)
  local m = struct.pack('>c4c1ddddI4c0I4c0', 'hf1:', s, n, l, w, at, #f, f, #o, o)
  local left = at - now
  local short = at ~= x and redis.call('PTTL', KEYS[2]) < left
  if short then
    redis.call('ZADD', KEYS[2], 'XX', at, '')
    redis.call('PEXPIRE', KEYS[1], left + 60000)
  end
  if b then redis.call('HSET', KEYS[1], 'm', m, 'b', b) else redis.call('HSET', KEYS[1], 'm', m) end
  if at == x then return end
  redis.call('PEXPIRE', KEYS[1], left + 60000)
  redis.call('ZADD', KEYS[2], at, string.sub(KEYS[1], #KEYS[2] + 1))
  if short then redis.call('PEXPIRE', KEYS[2], left + 60000) end
end
`

/**
 * ARGV: fingerprint, owner, lease, ttl, takeover, most keys. Answers the fence of who has the key now, the response of
 * what is done, or else a word and how long it stays so.
 *
 * The set is rid of expired keys when the scope is full, and with one new key in 64: after that is written, since a
 * script that has written may write more where Redis is full.
 */
export const ACQUIRE: string = `
local m, b
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if fields[i] == 'm' then m = fields[i + 1] elseif fields[i] == 'b' then b = fields[i + 1] end
end
if fields[1] and not m then m = '' end
${OPEN}${PUT}
local lease, ttl, most, count = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local function rid() redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now) end
if s and s ~= 'r' then
  if f ~= ARGV[1] then return {'mismatch'} end
  if s == 'd' then return b end
  if o == ARGV[2] then return n end
  if l > now then return {'busy', l - now} end
  if ARGV[5] ~= '1' then return {'abandoned'} end
end
if not s then
  count = redis.call('ZCARD', KEYS[2])
  if count >= most then
    rid()
    if redis.call('ZCARD', KEYS[2]) >= most then
      return {'full', math.max(0, redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] - now)}
    end
  end
  if b then redis.call('DEL', KEYS[1]) end
  n = 0
end
put('a', n + 1, now + lease, now + ttl, math.max(now + ttl, now + 2 * lease), ARGV[1], ARGV[2])
if count and count % 64 == 0 then rid() end
return n + 1
`

/**
 * A full Redis takes no new keys (with `noeviction`). But what has been done must be remembered all the same: a script
 * that has written may write more, and this writes nothing.
 */
const EVEN_IF_FULL = `
redis.call('HDEL', KEYS[1], '')
`

/** ARGV: owner, lease. Answers 1 where it was done, as the next two do, and 0 where the key is not the owner's. */
export const HEARTBEAT: string = `${FIND}${PUT}
if s ~= 'a' or o ~= ARGV[1] then return 0 end
${EVEN_IF_FULL}
local lease = tonumber(ARGV[2])
put('a', n, now + lease, w, math.max(w, now + 2 * lease), f, o)
return 1
`

/** ARGV: owner, lease, response. Again by the same owner changes nothing. */
export const COMPLETE: string = `${FIND}${PUT}
if not s or o ~= ARGV[1] or s == 'r' then return 0 end
if s == 'd' then return 1 end
${EVEN_IF_FULL}
put('d', n, l, w, math.max(w, now + tonumber(ARGV[2])), f, o, ARGV[3])
return 1
`

/** ARGV: owner. A tombstone stays, so that the fence goes on. */
export const RELEASE: string = `${FIND}${PUT}
if not s or o ~= ARGV[1] or s == 'd' then return 0 end
${EVEN_IF_FULL}
put('r', n, l, w, x, f, o)
return 1
`

/** ARGV: fingerprint. Answers the response, or nothing. */
export const READ: string = `${FIND}
if s ~= 'd' or f ~= ARGV[1] then return false end
return redis.call('HGET', KEYS[1], 'b')
`
