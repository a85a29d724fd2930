-- generation, owner, incarnation, policy, reason, now, wall, limit
if not holds(ARGV[1], ARGV[2], ARGV[3]) then return 0 end
local ids = redis.call('ZRANGEBYSCORE', LEASE, '-inf', ARGV[7], 'LIMIT', 0, ARGV[8])
for _, id in ipairs(ids) do
    local kept = kept_of(id)
    if ARGV[4] == 'resend' and not kept.because then
        again(id, kept, ARGV[7])
    else
        finished(id, kept, 'ambiguous', 'ambiguous', ARGV[5], ARGV[6], ARGV[7])
    end
end
return #ids
