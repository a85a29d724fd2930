-- generation, owner, incarnation, first offset or ''
local fence = redis.call('HMGET', FENCE, 'next', 'ver', 'hwo', 'hwi', 'gen', 'own', 'inc')
if not fence[1] then
    if ARGV[4] == '' then return {'missing'} end
    redis.call('HSET', FENCE, 'next', ARGV[4], 'ver', '', 'hwo', '-1', 'hwi', '-1')
    fence = {ARGV[4], '', '-1', '-1'}
elseif fence[5] then
    local gen, inc = tonumber(ARGV[1]), tonumber(ARGV[3])
    local held_gen, held_inc = tonumber(fence[5]), tonumber(fence[7])
    local same = inc == held_inc and gen == held_gen
    if inc < held_inc or (inc == held_inc and gen < held_gen) or (same and fence[6] ~= ARGV[2]) then
        return {'fenced', fence[7]}
    end
end
redis.call('HSET', FENCE, 'gen', ARGV[1], 'own', ARGV[2], 'inc', ARGV[3])
return {'ok', fence[1], fence[2], fence[3], fence[4]}
