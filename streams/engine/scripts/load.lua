#!lua flags=no-writes
-- Read states, but only under the version the caller computed from: an unchecked read can mix two histories.
-- KEYS fence, states, timers.  ARGV ver, due_until, due_limit, clients...
local fence = redis.call('HMGET', KEYS[1], 'ver', 'next')
if not fence[1] then
  return {'missing'}
end
if fence[1] ~= ARGV[1] then
  return {'moved', fence[2], fence[1]}
end
local LIMIT = 1000 -- unpack() fails beyond some thousand arguments
local function read(names, from)
  local found = {}
  for i = from, #names, LIMIT do
    local part = redis.call('HMGET', KEYS[2], unpack(names, i, math.min(i + LIMIT - 1, #names)))
    for j = 1, #part do
      found[#found + 1] = part[j]
    end
  end
  return found
end
local due = {}
if ARGV[2] ~= '' then
  due = redis.call('ZRANGE', KEYS[3], '-inf', ARGV[2], 'BYSCORE', 'LIMIT', 0, ARGV[3])
end
return {'loaded', read(ARGV, 4), due, read(due, 1)}
