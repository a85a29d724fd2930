#!lua
-- Take a partition, or make its fence.
-- KEYS fence, states, timers, outbox.  ARGV gen, own, inc, has_birth, next, ver, then pairs topic, position.
local f = KEYS[1]
local stored = redis.call('HMGET', f, 'gen', 'own', 'inc')
if not stored[1] then
  if ARGV[4] == '0' then
    return {'missing'}
  end
  redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
  redis.call('HSET', f, 'gen', ARGV[1], 'own', ARGV[2], 'inc', ARGV[3], 'next', ARGV[5], 'ver', ARGV[6], 'wm', '0')
  for i = 7, #ARGV, 2 do
    redis.call('HSET', f, 'hw:' .. ARGV[i], ARGV[i + 1])
  end
else
  local gen, inc = tonumber(ARGV[1]), tonumber(ARGV[3])
  local gen0, inc0 = tonumber(stored[1]), tonumber(stored[3])
  if inc < inc0 or (inc == inc0 and (gen < gen0 or (gen == gen0 and ARGV[2] ~= stored[2]))) then
    return {'refused', inc0}
  end
  redis.call('HSET', f, 'gen', ARGV[1], 'own', ARGV[2], 'inc', ARGV[3])
end
local head = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
return {'held', redis.call('HGETALL', f), redis.call('XLEN', KEYS[4]), head[2] or false}
