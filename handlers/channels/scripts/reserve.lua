#!lua
-- Take a place at an address. KEYS the address: a sorted set of messages by when they took theirs.
-- ARGV trigger, now, then limit and span (ms) of each limit, the longest span last. Answers '' or when the next place is free.
-- The key outlives the longest span by the server's clock, which never runs faster than ours.
local id, now = ARGV[1], tonumber(ARGV[2])
local longest = tonumber(ARGV[#ARGV])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - longest))
if redis.call('ZSCORE', KEYS[1], id) then return '' end
local free = 0
for at = 3, #ARGV, 2 do
    local limit, span = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    local since = '(' .. string.format('%.0f', now - span)
    local row = redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', since, 'WITHSCORES', 'LIMIT', limit - 1, 1)
    if row[2] then free = math.max(free, tonumber(row[2]) + span) end
end
if free > 0 then return string.format('%.0f', free) end
redis.call('ZADD', KEYS[1], ARGV[2], id)
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', longest))
return ''
