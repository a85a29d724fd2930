-- generation, owner, incarnation, trigger, stage, outcome or '', reason, now, wall
local kept = kept_of(ARGV[4])
if not kept or kept.stage ~= 'prepared' or not holds(ARGV[1], ARGV[2], ARGV[3]) then return 0 end
finished(ARGV[4], kept, ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9])
return 1
