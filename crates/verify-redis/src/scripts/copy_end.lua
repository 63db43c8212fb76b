-- KEYS: the store's epoch, who fills it with a copy. ARGV: who does, an epoch, since when, and whether it is accepted. False where
-- somebody else has begun meanwhile.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'made', ARGV[3], 'accepted', ARGV[4])
redis.call('DEL', KEYS[2])
return 1
