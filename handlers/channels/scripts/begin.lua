-- generation, owner, incarnation, trigger, attempts so far, now, lease
local id, tried = ARGV[4], tonumber(ARGV[5])
local kept = kept_of(id)
if not kept or not holds(ARGV[1], ARGV[2], ARGV[3]) then return 0 end
if kept.stage == 'sending' and kept.owner == ARGV[2] and kept.attempt == tried + 1 then return 1 end
if kept.stage ~= 'prepared' or kept.attempt ~= tried or tonumber(ARGV[6]) >= kept.expires then return 0 end
redis.call('ZREM', DUE, id)
redis.call('ZREM', RETRY, id)
redis.call('ZREM', EXPIRY, id)
redis.call('ZADD', LEASE, ARGV[7], id)
kept.stage, kept.owner, kept.attempt = 'sending', ARGV[2], tried + 1
keep(id, kept)
return 1
