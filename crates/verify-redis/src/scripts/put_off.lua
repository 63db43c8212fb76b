-- KEYS: when records are due, how often they were put off, the record. ARGV: its name, a time, and for how many milliseconds one is put
-- off that never was, that once was, and so on. Whoever is not due is left alone.
local due, now = redis.call('ZSCORE', KEYS[1], ARGV[1]), tonumber(ARGV[2])
local row = redis.call('GET', KEYS[3])
if not due or tonumber(due) > now or not row or struct.unpack('<I8', row, 11) <= now then return 0 end
local times = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0)
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[math.min(3 + times, #ARGV)]), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], times + 1)
return 1
