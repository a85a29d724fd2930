-- generation, owner, incarnation, trigger, until
local kept = kept_of(ARGV[4])
if not kept or kept.stage ~= 'prepared' or not holds(ARGV[1], ARGV[2], ARGV[3]) then return 0 end
redis.call('ZREM', RETRY, ARGV[4])
redis.call('ZADD', DUE, ARGV[5], ARGV[4])
return 1
