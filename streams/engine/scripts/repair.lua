#!lua
-- What a person decides about a partition, all or nothing; nothing happens unless it stands where the person saw it.
-- KEYS fence, states, timers, outbox.  ARGV what, expected next, ver_new, next_new.
local seen = redis.call('HGET', KEYS[1], 'next')
if seen ~= ARGV[2] then
  return {'moved', seen or ''}
end
if ARGV[1] == 'forget' then
  redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
elseif ARGV[1] == 'jump' then
  redis.call('HSET', KEYS[1], 'next', ARGV[4], 'ver', ARGV[3])
else
  redis.call('HSET', KEYS[1], 'gen', '0', 'own', '')
  redis.call('HINCRBY', KEYS[1], 'inc', 1)
end
return {'done', ARGV[4]}
