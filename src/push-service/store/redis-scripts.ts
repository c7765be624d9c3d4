// SPDX-License-Identifier: MIT
/**
 * What the Redis store does, as Lua scripts: each one takes effect as a whole. KEYS are those of `DeviceKeys`, and for a
 * message that of its operation besides; numbers and texts come in ARGV.
 *
 * `device` is a hash: created, seen, dialect, generation, last (message id), history (whose replication gave that id), channel
 * (the last one), channels, messages, bytes, soonest (nothing of the queue expires before), holder and fence; `c1`… the channels, `r…` the live channel of a registration id, and
 * `t1/…` the stream id of the message of a topic. `queue` is a stream: the ids of messages with 0 behind them; c channel, e expiry, n
 * bytes against the quota, t topic or nothing, f the first fence whose session may have sent it, v the message. `due` sorts the
 * slot's devices by when the sweep has something to do for them, or earlier; `messages` counts those of the slot.
 */

import {
  DEVICE_UNSEEN_MS_MAX,
  DEVICE_UNUSED_MS_MAX,
  REDIS_MESSAGE_ID_GAP,
  REDIS_OPERATION_REMEMBERED_MS,
  SUBSCRIPTIONS_MAX,
} from "../../limits.ts";
import { acrossSlots, growing, reading, script } from "./redis-script.ts";

/** First byte of a channel's value while it is live; of a revoked one the digit of its reason. */
export const CHANNEL_LIVE = "L";

/**
 * The session of `ARGV[1]`, fence and node, is refused when another one claimed the device since. Empty: not a session's. A failover
 * that lost claims gives a fence twice; the node tells them apart.
 */
const FENCE = `
local claimed = redis.call('HMGET', KEYS[1], 'fence', 'holder')
local fence, holder = claimed[1], claimed[2]
if ARGV[1] ~= '' and fence then
  local asked, node = string.match(ARGV[1], '^(%d+) (.*)$')
  if asked ~= fence or (holder ~= '' and holder ~= node) then
    return redis.error_reply('FENCED another link of the device took its place')
  end
end
`;

/** The replication history that this primary continues: another one after a failover or a restart. */
const HISTORY = `
local function history()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
end
`;

/**
 * unchanged() is a write that changes nothing: what finds its work done may be the second try of something that no replica has yet,
 * and WAIT waits for a connection's last write, not for a script that wrote nothing (Redis 7.2 and later).
 */
const UNCHANGED = `
local function unchanged() redis.call('INCRBY', KEYS[4], 0) end
`;

/** A time of whoever asks, or Redis's own where that is earlier: a clock that runs ahead must not make an end of anything. */
const NOW = `
local function notAhead(ms)
  local time = redis.call('TIME')
  return math.min(tonumber(ms), time[1] * 1000 + math.floor(time[2] / 1000))
end
`;

/** drop(entries) removes messages, given as XRANGE returns them; dropExpired(now) those of before, and says when the next one expires. */
const DROP = `
local function everything() return redis.call('XRANGE', KEYS[2], '-', '+') end
local function drop(entries)
  local removed, bytes = 0, 0
  for _, entry in ipairs(entries) do
    local id, fields = entry[1], entry[2]
    removed = removed + redis.call('XDEL', KEYS[2], id)
    bytes = bytes + tonumber(fields[6])
    local topic = 't' .. fields[2] .. '/' .. fields[8]
    if fields[8] ~= '' and redis.call('HGET', KEYS[1], topic) == id then
      redis.call('HDEL', KEYS[1], topic)
    end
  end
  if removed == 0 then return 0 end
  redis.call('HINCRBY', KEYS[1], 'bytes', -bytes)
  redis.call('DECRBY', KEYS[4], removed)
  if redis.call('HINCRBY', KEYS[1], 'messages', -removed) == 0 then redis.call('DEL', KEYS[2]) end
  return removed
end
local function dropExpired(now)
  local entries, soonest = {}, math.huge
  for _, entry in ipairs(everything()) do
    local expires = tonumber(entry[2][4])
    if expires <= now then entries[#entries + 1] = entry else soonest = math.min(soonest, expires) end
  end
  if soonest < math.huge then redis.call('HSET', KEYS[1], 'soonest', string.format('%.0f', soonest)) end
  return drop(entries), soonest
end
`;

/** Frees a channel's registration id and removes its messages. */
const END_CHANNEL = `
local function endChannel(channel, value)
  if redis.call('HGET', KEYS[1], 'messages') ~= '0' then
    local entries = {}
    for _, entry in ipairs(everything()) do
      if entry[2][2] == channel then entries[#entries + 1] = entry end
    end
    drop(entries)
  end
  local registration = 'r' .. string.sub(value, 2, 17)
  -- A revoked channel's registration id may meanwhile name a newer channel.
  if redis.call('HGET', KEYS[1], registration) == channel then redis.call('HDEL', KEYS[1], registration) end
end
`;

const FORGET = `
local function forget(name)
  local messages = redis.call('XLEN', KEYS[2])
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('DECRBY', KEYS[4], messages)
  redis.call('ZREM', KEYS[3], name)
end
`;

/** On the one key of the store: what to write when there is nothing. → what is there. */
export const META = script(`
local value = redis.call('GET', KEYS[1]) or ARGV[1]
-- Again where it was there, so that WAIT waits for it.
redis.call('SET', KEYS[1], value)
return value
`);

/** Who, for how many ms. → who has it: the first of those who asked. */
export const ELECT = script(`
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'GET', 'PX', ARGV[2]) or ARGV[1]
`);

/** Now, name, dialect. */
export const CREATE_DEVICE = growing(
  `${HISTORY}${UNCHANGED}
if fence then
  unchanged()
  return 0
end
redis.call('HSET', KEYS[1], 'created', ARGV[2], 'seen', ARGV[2], 'dialect', ARGV[4], 'generation', 0, 'last', 0,
  'history', history(), 'channel', 0, 'channels', 0, 'messages', 0, 'bytes', 0, 'holder', '', 'fence', 0)
redis.call('ZADD', KEYS[3], ARGV[2] + ${DEVICE_UNUSED_MS_MAX}, ARGV[3])
return 1
`,
  FENCE,
);

/** Field, value: raised to that, never lowered. */
export const RAISE = script(
  `${UNCHANGED}
local value = redis.call('HGET', KEYS[1], ARGV[2])
if value and tonumber(value) < tonumber(ARGV[3]) then redis.call('HSET', KEYS[1], ARGV[2], ARGV[3]) else unchanged() end
return 1
`,
  FENCE,
);

export const REMOVE_DEVICE = script(
  `${FORGET}${UNCHANGED}
if fence then forget(ARGV[2]) else unchanged() end
return 1
`,
  FENCE,
);

/** Node. → fence, and the node and fence of the older link. */
export const CLAIM = script(
  `${UNCHANGED}
if not fence then return {0, '', 0} end
local done = redis.call('GET', KEYS[5])
if done then
  unchanged()
  local newer, older, node = string.match(done, '^(%d+) (%d+) (.*)$')
  return {tonumber(newer), node, tonumber(older)}
end
local newer = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'holder', ARGV[2])
redis.call('SET', KEYS[5], string.format('%.0f %s %s', newer, fence, holder), 'PX', ${REDIS_OPERATION_REMEMBERED_MS})
return {newer, holder, tonumber(fence)}
`,
  FENCE,
);

export const RELEASE = script(
  `
if fence then redis.call('HSET', KEYS[1], 'holder', '') end
return 1
`,
  FENCE,
);

/** Registration id, value of the channel. → outcome, channel, whether it is new. */
export const REGISTER = growing(
  `${UNCHANGED}
if not fence then return {'gone'} end
local live = redis.call('HGET', KEYS[1], 'r' .. ARGV[2])
if live then
  local value = redis.call('HGET', KEYS[1], 'c' .. live)
  if string.sub(value, 26) ~= string.sub(ARGV[3], 26) then return {'conflict'} end
  unchanged()
  return {'registered', tonumber(live), 0}
end
if tonumber(redis.call('HGET', KEYS[1], 'channels')) >= ${SUBSCRIPTIONS_MAX} then return {'tooMany'} end
local channel = redis.call('HINCRBY', KEYS[1], 'channel', 1)
redis.call('HINCRBY', KEYS[1], 'channels', 1)
redis.call('HSET', KEYS[1], 'c' .. channel, ARGV[3], 'r' .. ARGV[2], channel)
return {'registered', channel, 1}
`,
  FENCE,
);

/** Channel. → whether it was there. */
export const UNREGISTER = script(
  `${DROP}${END_CHANNEL}${UNCHANGED}
local value = redis.call('HGET', KEYS[1], 'c' .. ARGV[2])
if not value then
  unchanged()
  return 0
end
endChannel(ARGV[2], value)
redis.call('HDEL', KEYS[1], 'c' .. ARGV[2])
redis.call('HINCRBY', KEYS[1], 'channels', -1)
return 1
`,
  FENCE,
);

/** Channel, first byte of its new value. → whether it was there and live, holder, fence. */
export const REVOKE = script(
  `${DROP}${END_CHANNEL}${UNCHANGED}
local value = redis.call('HGET', KEYS[1], 'c' .. ARGV[2])
if not value or string.sub(value, 1, 1) ~= '${CHANNEL_LIVE}' then
  unchanged()
  return {0}
end
endChannel(ARGV[2], value)
redis.call('HSET', KEYS[1], 'c' .. ARGV[2], ARGV[3] .. string.sub(value, 2))
return {1, holder, tonumber(fence)}
`,
  FENCE,
);

/**
 * Channel, received, expires, bytes against the quota, topic or nothing, message, messages at most, bytes at most, name. →
 * outcome, id, the id it replaced or 0, holder, fence. What expires when it is received is not stored.
 */
export const PUT = growing(
  `${HISTORY}${NOW}${DROP}${UNCHANGED}
local done = redis.call('GET', KEYS[5])
local device = redis.call('HMGET', KEYS[1], 'c' .. ARGV[2], 'last', 'history', 'soonest')
if done then
  unchanged()
  local id, replaced = string.match(done, '(%d+) (%d+)')
  return {'stored', tonumber(id), tonumber(replaced), holder or '', tonumber(fence or 0)}
end
if not device[1] or string.sub(device[1], 1, 1) ~= '${CHANNEL_LIVE}' then return {'gone'} end
-- What a primary gave out without a replica seeing it died with it: go past all that can have been, and use none again. Each history
-- goes another distance, since two may go on from the same id: a primary that came back alone, and then its replica.
local continued = history()
local id = tonumber(device[2]) + 1
if device[3] ~= continued then id = id + ${REDIS_MESSAGE_ID_GAP} * (1 + tonumber(string.sub(continued, 1, 4), 16)) end
local function remember(given, replaced)
  redis.call('SET', KEYS[5], string.format('%.0f %.0f', given, replaced), 'PX', ${REDIS_OPERATION_REMEMBERED_MS})
end
if ARGV[4] == ARGV[3] then
  redis.call('HSET', KEYS[1], 'last', id, 'history', continued)
  remember(id, 0)
  return {'stored', id, 0, holder, tonumber(fence)}
end
local topic = 't' .. ARGV[2] .. '/' .. ARGV[6]
local older = {}
if ARGV[6] ~= '' then
  local at = redis.call('HGET', KEYS[1], topic)
  if at then older = redis.call('XRANGE', KEYS[2], at, at) end
end
local function fits()
  local kept = redis.call('HMGET', KEYS[1], 'messages', 'bytes')
  local freed = older[1] and tonumber(older[1][2][6]) or 0
  return kept[1] + 1 - #older <= tonumber(ARGV[8]) and kept[2] + ARGV[5] - freed <= tonumber(ARGV[9])
end
local now = notAhead(ARGV[3])
if not fits() and tonumber(device[4] or 0) <= now then
  dropExpired(now)
  if older[1] then older = redis.call('XRANGE', KEYS[2], older[1][1], older[1][1]) end
end
if not fits() then return {'quota'} end
local replaced = older[1] and tonumber(string.match(older[1][1], '^%d+')) or 0
drop(older)
local first = tonumber(fence)
if holder == '' then first = first + 1 end
local at = string.format('%.0f-0', id)
redis.call('XADD', KEYS[2], at, 'c', ARGV[2], 'e', ARGV[4], 'n', ARGV[5], 't', ARGV[6], 'f', first, 'v', ARGV[7])
redis.call('HSET', KEYS[1], 'last', id, 'history', continued)
local soonest = redis.call('HGET', KEYS[1], 'soonest')
if not soonest or tonumber(ARGV[4]) < tonumber(soonest) then redis.call('HSET', KEYS[1], 'soonest', ARGV[4]) end
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], topic, at) end
redis.call('HINCRBY', KEYS[1], 'messages', 1)
redis.call('HINCRBY', KEYS[1], 'bytes', ARGV[5])
redis.call('INCR', KEYS[4])
redis.call('ZADD', KEYS[3], 'LT', ARGV[4], ARGV[10])
remember(id, replaced)
return {'stored', id, replaced, holder, tonumber(fence)}
`,
  FENCE,
);

/** Behind this id, how many, now. → whether that was all, the present fence; then id, first fence and message of each. Changes nothing. */
export const MESSAGES = reading(
  `
local limit, now = tonumber(ARGV[3]), tonumber(ARGV[4])
local found = {1, tonumber(fence or 0)}
local from = '(' .. ARGV[2] .. '-18446744073709551615'
while true do
  local entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', limit + 1)
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    if tonumber(fields[4]) > now then
      if #found - 2 == 3 * limit then
        found[1] = 0
        return found
      end
      found[#found + 1] = string.match(entry[1], '^%d+')
      found[#found + 1] = tonumber(fields[10])
      found[#found + 1] = fields[12]
    end
  end
  if #entries <= limit then return found end
  from = '(' .. entries[#entries][1]
end
`,
  FENCE,
);

/** Fields of the device. → their values. Changes nothing. */
export const READ_DEVICE = reading(
  `
return redis.call('HMGET', KEYS[1], unpack(ARGV, 2))
`,
  FENCE,
);

/** → fields and values. Changes nothing. */
export const READ_ALL = reading(
  `
return redis.call('HGETALL', KEYS[1])
`,
  FENCE,
);

/** First and last id of each range. → how many were removed. */
export const ACK = script(
  `${DROP}
local removed = 0
for at = 2, #ARGV, 2 do
  removed = removed + drop(redis.call('XRANGE', KEYS[2], ARGV[at], ARGV[at + 1]))
end
return removed
`,
  FENCE,
);

/** Channel, id. → whether it was there, holder, fence. */
export const WITHDRAW = script(
  `${DROP}${UNCHANGED}
local entries = redis.call('XRANGE', KEYS[2], ARGV[3], ARGV[3])
if not entries[1] or entries[1][2][2] ~= ARGV[2] then
  unchanged()
  return {0}
end
drop(entries)
return {1, holder, tonumber(fence)}
`,
  FENCE,
);

/** Now, name. → messages removed, whether the device was. */
export const EXPIRE = script(
  `${NOW}${DROP}${FORGET}
local device = redis.call('HMGET', KEYS[1], 'created', 'seen', 'channel')
if not device[1] then
  redis.call('ZREM', KEYS[3], ARGV[3])
  return {0, 0}
end
local now = notAhead(ARGV[2])
local removed, soonest = dropExpired(now)
local due = device[2] + ${DEVICE_UNSEEN_MS_MAX}
if device[3] == '0' then due = math.min(due, device[1] + ${DEVICE_UNUSED_MS_MAX}) end
if due <= now then
  forget(ARGV[3])
  return {removed, 1}
end
redis.call('ZADD', KEYS[3], math.min(due, soonest), ARGV[3])
return {removed, 0}
`,
  FENCE,
);

/**
 * Of the slots of one primary: what stands in front of their tags, now, how many at most; the tags. → names of devices that are
 * due. A slot that left meanwhile is passed over; whoever sweeps asks the others too.
 */
export const DUE = acrossSlots(`${NOW}
local now, most = notAhead(ARGV[2]), tonumber(ARGV[3])
local found = {}
for at = 4, #ARGV do
  local left = most - #found
  if left == 0 then break end
  local names = redis.pcall('ZRANGEBYSCORE', ARGV[1] .. ARGV[at] .. '}:due', '-inf', now, 'LIMIT', 0, left)
  if not names.err then for _, name in ipairs(names) do found[#found + 1] = name end end
end
return found
`);

/** Of the slots of one primary: what stands in front of their tags; the tags. → messages, devices. */
export const COUNT = acrossSlots(`
local messages, devices = 0, 0
for at = 2, #ARGV do
  local slot = ARGV[1] .. ARGV[at] .. '}:'
  local count = redis.pcall('GET', slot .. 'messages')
  if type(count) == 'string' then messages = messages + count end
  local size = redis.pcall('ZCARD', slot .. 'due')
  if type(size) == 'number' then devices = devices + size end
end
return {messages, devices}
`);
