-- KEYS: the lane, the outbox. ARGV: a place, and how many at most. True while more of them are left.
local events = redis.call('XRANGE', KEYS[2], '-', ARGV[1], 'COUNT', ARGV[2])
if #events == 0 then return 0 end
local bytes = 0
for _, event in ipairs(events) do bytes = bytes + #event[2][2] end
local last = events[#events][1]
local next_place = string.format('%.0f-0', tonumber(last:match('^%d+')) + 1)
redis.call('XTRIM', KEYS[2], 'MINID', '=', next_place)
redis.call('HINCRBY', KEYS[1], 'bytes', -bytes)
return #events == tonumber(ARGV[2]) and 1 or 0
