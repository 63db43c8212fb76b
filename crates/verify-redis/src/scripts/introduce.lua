-- KEYS: the store's epoch, its services, those that have a lane, who fills it with a copy. ARGV: a service or nothing, a name for an
-- epoch, whether one that is made now is accepted, the server's id, whether another server's begins an epoch.
if redis.call('EXISTS', KEYS[4]) == 1 then
  return redis.error_reply('VERIFYNONE HALFCOPIED a copy into this store is under way, or was broken off: run it again')
end
local origin = redis.call('HMGET', KEYS[1], 'epoch', 'made', 'accepted', 'server', 'moved')
local epoch, made, accepted, server, moved = origin[1], origin[2], origin[3], origin[4], origin[5] or '0'
local time = redis.call('TIME')
local clock = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
if server == '' then server = false end
local has_lane = 0
if ARGV[1] ~= '' then has_lane = redis.call('SISMEMBER', KEYS[3], ARGV[1]) end
local settles = false
if not epoch then
  epoch, made, accepted, server, moved, settles = ARGV[2], clock, ARGV[3], false, '0', true
end
-- Another server has another history and is another process. A master that no replica follows changes the id of its history, and
-- lines from before know the one before.
local here = ARGV[4]
local is_held_here = server and (server:sub(1, 40) == here:sub(1, 40) or #here > 40 and server:sub(41) == here:sub(41))
if here ~= '' and not is_held_here then
  if server then
    moved = clock
    if ARGV[5] == '1' then epoch, made, accepted = ARGV[2], clock, '0' end
  end
  server, settles = here, true
end
if settles then
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'made', made, 'accepted', accepted, 'server', server or '', 'moved', moved)
end
if ARGV[1] ~= '' and not redis.call('ZSCORE', KEYS[2], ARGV[1]) then redis.call('ZADD', KEYS[2], 0, ARGV[1]) end
return { epoch, made, accepted, moved, clock, has_lane }
