-- generation, owner, incarnation, expected next, expected version, new next, new version, now, wall, pending limit, claims,
-- then per entry eight fields: kind, source offset, index, trigger, client, not before, expires, body or because
-- (source offset '' for a record that was put back by hand: it is told apart by its trigger alone)
local fence = redis.call('HMGET', FENCE, 'next', 'ver', 'hwo', 'hwi')
if not fence[1] then return {'missing'} end
-- Before the owner is checked: the reply of an earlier, successful try may have been lost.
if fence[2] == ARGV[7] then return {'ok', fence[1], fence[2], fence[3], fence[4], 0, 0, 0, 0} end
if not holds(ARGV[1], ARGV[2], ARGV[3]) then return {'fenced', redis.call('HGET', FENCE, 'inc')} end
if fence[1] ~= ARGV[4] or fence[2] ~= ARGV[5] then return {'moved', fence[1], fence[2], fence[3], fence[4]} end
-- With nothing waiting any batch is taken: a limit below one batch would pause the partition for ever.
local claims, waiting = tonumber(ARGV[11]), redis.call('ZCARD', EXPIRY)
if claims > 0 and waiting > 0 and waiting + claims > tonumber(ARGV[10]) then return {'crowded'} end

local now, wall = ARGV[8], ARGV[9]
local hwo, hwi = tonumber(fence[3]), tonumber(fence[4])
local claimed, known, filtered, retractions = 0, 0, 0, 0
for at = 12, #ARGV, 8 do
    local offset, index, id, client = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 4]
    if offset and (offset < hwo or (offset == hwo and index <= hwi)) then
        filtered = filtered + 1
    else
        if offset then hwo, hwi = offset, index end
        local kept = kept_of(id)
        if ARGV[at] == 'claim' then
            if kept then
                known = known + 1
            else
                claimed = claimed + 1
                keep(id, {client = client, stage = 'prepared', expires = tonumber(ARGV[at + 6]), attempt = 0, owner = ''})
                redis.call('HSET', BODIES, id, ARGV[at + 7])
                redis.call('ZADD', DUE, ARGV[at + 5], id)
                redis.call('ZADD', EXPIRY, ARGV[at + 6], id)
            end
        else
            retractions = retractions + 1
            kept = kept or {client = client, stage = 'prepared', expires = 0, attempt = 0, owner = ''}
            if kept.stage == 'sending' then
                kept.because = ARGV[at + 7]
                keep(id, kept)
            else
                if kept.stage == 'prepared' then close(id, kept, 'retracted', wall) end
                report(id, kept, acknowledgement(kept.stage), ARGV[at + 7], now)
            end
        end
    end
end
local high_offset, high_index = string.format('%.0f', hwo), string.format('%.0f', hwi)
redis.call('HSET', FENCE, 'next', ARGV[6], 'ver', ARGV[7], 'hwo', high_offset, 'hwi', high_index)
return {'ok', ARGV[6], ARGV[7], high_offset, high_index, claimed, known, filtered, retractions}
