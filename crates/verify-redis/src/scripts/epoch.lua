-- KEYS: a hash with an epoch in it. ARGV: nothing to accept it, or a name for another that nobody accepted yet. False where there is
-- none.
if redis.call('HEXISTS', KEYS[1], 'epoch') == 0 then return 0 end
if ARGV[1] == '' then
  redis.call('HSET', KEYS[1], 'accepted', 1)
else
  local time = redis.call('TIME')
  local clock = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'made', clock, 'accepted', 0)
end
return 1
