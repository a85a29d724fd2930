-- now, wall, limit
local limit = tonumber(ARGV[3])
local ids = redis.call('ZRANGEBYSCORE', RETRY, '-inf', ARGV[2], 'LIMIT', 0, limit)
if #ids < limit then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', ARGV[1], 'LIMIT', 0, limit - #ids)) do
        ids[#ids + 1] = id
    end
end
local found = {}
for _, id in ipairs(ids) do
    local kept = kept_of(id)
    found[#found + 1] = {id, kept.client, kept.attempt, redis.call('HGET', BODIES, id) or ''}
end
return found
