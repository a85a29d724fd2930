-- trigger, owner, attempt, stage, outcome or '', reason, retry at, now, wall, digest of the address or '', purpose or ''
local id, stage, now, wall = ARGV[1], ARGV[4], ARGV[8], ARGV[9]
local kept = kept_of(id)
if not kept or kept.owner ~= ARGV[2] or kept.attempt ~= tonumber(ARGV[3]) then return '' end
local resolved = kept.stage == 'ambiguous' and (stage == 'sent' or stage == 'failed')
if kept.stage ~= 'sending' and not resolved then return '' end
if stage ~= 'prepared' then
    finished(id, kept, stage, ARGV[5], ARGV[6], now, wall, ARGV[10], ARGV[11])
elseif kept.because then
    finished(id, kept, 'retracted', '', '', now, wall)
elseif tonumber(now) >= kept.expires then
    finished(id, kept, 'expired', 'expired', ARGV[6], now, wall)
else
    again(id, kept, ARGV[7])
end
return kept.stage
