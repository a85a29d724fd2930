-- generation, owner, incarnation, reason, now, wall, limit
if not holds(ARGV[1], ARGV[2], ARGV[3]) then return 0 end
local ids = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', ARGV[5], 'LIMIT', 0, ARGV[7])
for _, id in ipairs(ids) do
    finished(id, kept_of(id), 'expired', 'expired', ARGV[4], ARGV[5], ARGV[6])
end
return #ids
