-- before, limit
local ids = redis.call('ZRANGEBYSCORE', DONE, '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
if #ids > 0 then
    redis.call('ZREM', DONE, unpack(ids))
    redis.call('HDEL', STAGES, unpack(ids))
end
return #ids
