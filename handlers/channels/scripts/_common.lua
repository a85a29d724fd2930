#!lua
-- Keys of one channel partition; all carry the same hash tag.
local FENCE, STAGES, BODIES, DUE, RETRY, LEASE, EXPIRY, DONE, REPORTS =
    KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]

local function kept_of(id)
    local raw = redis.call('HGET', STAGES, id)
    return raw and cjson.decode(raw) or nil
end

local function keep(id, kept)
    redis.call('HSET', STAGES, id, cjson.encode(kept))
end

local function report(id, kept, outcome, reason, now, address, purpose)
    redis.call('XADD', REPORTS, '*', 'trigger', id, 'client', kept.client, 'outcome', outcome,
        'attempt', kept.attempt, 'reason', reason, 'at', now, 'address', address or '', 'purpose', purpose or '')
end

-- A finished trigger keeps its stage, so that it is not claimed again, but not its text.
local function close(id, kept, stage, wall)
    redis.call('ZREM', DUE, id)
    redis.call('ZREM', RETRY, id)
    redis.call('ZREM', LEASE, id)
    redis.call('ZREM', EXPIRY, id)
    redis.call('HDEL', BODIES, id)
    redis.call('ZADD', DONE, wall, id)
    kept.stage = stage
    keep(id, kept)
end

local function acknowledgement(stage)
    return (stage == 'sent' or stage == 'ambiguous') and 'too_late' or 'retracted'
end

local function finished(id, kept, stage, outcome, reason, now, wall, address, purpose)
    local because = kept.because
    kept.because = nil
    close(id, kept, stage, wall)
    if outcome ~= '' then report(id, kept, outcome, reason, now, address, purpose) end
    if because then report(id, kept, acknowledgement(stage), because, now) end
end

local function again(id, kept, at)
    kept.stage = 'prepared'
    redis.call('ZREM', LEASE, id)
    redis.call('ZADD', RETRY, at, id)
    redis.call('ZADD', EXPIRY, kept.expires, id)
    keep(id, kept)
end

local function holds(generation, owner, incarnation)
    local fence = redis.call('HMGET', FENCE, 'gen', 'own', 'inc')
    return fence[1] == generation and fence[2] == owner and fence[3] == incarnation
end

