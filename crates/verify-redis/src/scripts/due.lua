-- KEYS: when records are due, how often they were put off, then records. ARGV: a time, then their names. The names of those that are
-- there and not over; of those that are gone nothing
-- is kept, and how many that were.
local there, gone = {}, 0
for i = 3, #KEYS do
  local name, row = ARGV[i - 1], redis.call('GET', KEYS[i])
  if not row then
    redis.call('ZREM', KEYS[1], name)
    redis.call('HDEL', KEYS[2], name)
    gone = gone + 1
  elseif struct.unpack('<I8', row, 11) > tonumber(ARGV[1]) then
    there[#there + 1] = name
  end
end
return { there, gone }
