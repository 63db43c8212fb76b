-- KEYS: the lease. ARGV: a holder, and for how many milliseconds. True when it is the holder's.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
if ARGV[2] ~= '0' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
elseif held then
  redis.call('DEL', KEYS[1])
end
return 1
