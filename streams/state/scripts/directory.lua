#!lua
-- Remember what was told about ids, and answer what is known about others: one round trip, all or nothing for other callers.
-- Values are absolute, so a repeated call changes nothing. Linked entries share the hash tag of KEYS[1] and thus its slot.
-- KEYS the beginning of every key.  ARGV retention in ms, furthest, one msgpack array, all of text:
--   {name of a link, ...}, {{address, name, value, ...}, ...} as told, {address, ...} as asked for.
-- Answers {address, {name, value, ...}} for each address asked for or linked to that is known.
local base, retention, furthest = KEYS[1], ARGV[1], tonumber(ARGV[2])
local links, told, wanted = unpack(cmsgpack.unpack(ARGV[3]))
for _, entry in ipairs(told) do
  local key = base .. entry[1]
  redis.call('HSET', key, unpack(entry, 2))
  redis.call('PEXPIRE', key, retention)
end
local link = {}
for _, name in ipairs(links) do
  link[name] = true
end
local answers, answered = {}, {}
local function tell(asked)
  local source = string.match(asked, '^[^:]*:')
  local waiting, seen, i = {asked}, {[asked] = true}, 1
  while i <= #waiting do
    local known = redis.call('HGETALL', base .. waiting[i])
    for j = 1, #known, 2 do
      local other = link[known[j]] and source and source .. known[j + 1]
      if other and not seen[other] and #waiting < furthest then
        seen[other] = true
        waiting[#waiting + 1] = other
      end
    end
    if #known > 0 and not answered[waiting[i]] then
      answered[waiting[i]] = true
      answers[#answers + 1] = {waiting[i], known}
    end
    i = i + 1
  end
end
for _, asked in ipairs(wanted) do
  tell(asked)
end
return answers
