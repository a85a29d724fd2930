#!lua
-- The one write of a batch: states, timers, outbox and position together, or nothing.
-- Redis does not roll back a script that fails half-way, so everything is judged before the first write, all values are
-- absolute, and nothing here depends on what it overwrites.
-- KEYS fence, states, timers, outbox.  ARGV one msgpack array:
--   gen, own, inc, ver, expected, ver_new, next, watermark, outbox_limit, {client, state...}, {due, client...}, {client...},
--   {id, entry...}, {regime where it changes}, {moment from which all clients are due}; numbers as decimal strings, because Lua prints large ones in scientific notation.
local a = cmsgpack.unpack(ARGV[1])
local fence = redis.call('HMGET', KEYS[1], 'gen', 'own', 'inc', 'ver', 'next')
local function answer(verdict, next, ver)
  local head = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  local oldest = redis.call('XRANGE', KEYS[4], '-', '+', 'COUNT', 1)[1]
  return {verdict, next, ver, redis.call('XLEN', KEYS[4]), head[2] or false, oldest and oldest[1]}
end
if not fence[1] then
  return {'missing', '0', ''}
end
if fence[4] == a[6] then
  return answer('dup', fence[5], fence[4])
end
if fence[1] ~= a[1] or fence[2] ~= a[2] or fence[3] ~= a[3] then
  return {'fenced', fence[5], fence[4]}
end
if fence[4] ~= a[4] or fence[5] ~= a[5] then
  local stored, expected = tonumber(fence[5]), tonumber(a[5])
  local verdict = 'forked'
  if stored > expected then
    verdict = 'ahead'
  elseif stored < expected then
    verdict = 'behind'
  end
  return {verdict, fence[5], fence[4]}
end
local outbox = a[13]
if #outbox > 0 and redis.call('XLEN', KEYS[4]) >= tonumber(a[9]) then
  return answer('backpressure', fence[5], fence[4])
end

local LIMIT = 1000 -- even; unpack() fails beyond some thousand arguments
local function write(command, key, values)
  for i = 1, #values, LIMIT do
    redis.call(command, key, unpack(values, i, math.min(i + LIMIT - 1, #values)))
  end
end
write('HSET', KEYS[2], a[10])
if #a[15] > 0 then
  for _, client in ipairs(redis.call('HKEYS', KEYS[2])) do
    redis.call('ZADD', KEYS[3], 'LT', a[15][1], client)
  end
end
write('ZADD', KEYS[3], a[11])
write('ZREM', KEYS[3], a[12])
for i = 1, #outbox, 2 do
  redis.call('XADD', KEYS[4], outbox[i], 'e', outbox[i + 1])
end
if #a[14] > 0 then
  redis.call('HSET', KEYS[1], 'rg', a[14][1])
end
redis.call('HSET', KEYS[1], 'next', a[7], 'ver', a[6], 'wm', a[8])
return answer('ok', a[7], a[6])
