-- KEYS: the store's epoch, its services, those that have a lane, who fills it with a copy. ARGV: who does from now on. False where
-- something is there that no copy left.
if redis.call('EXISTS', KEYS[4]) == 0 and redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) > 0 then return 0 end
redis.call('SET', KEYS[4], ARGV[1])
return 1
