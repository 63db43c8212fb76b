-- Decides one changeset, as verify_core::store::evaluate does, and writes it or nothing. Whoever changes one of the two changes
-- the other: the adapter holds each answer against its own arithmetic.
--
-- What can fail comes before the first write, and whatever fails says whether anything was written. Numbers are doubles: sums
-- are cut at 2^53 - 1 as the core's are, and remainders come from fmod, which is exact.

local MOST, SKEW, CLOSING_WAIT, MAX_STAMPS, EXACT_UP_TO = 9007199254740991, 10000, 300000, 17, 16
local WINDOW, RUN, ENDED_WINDOW = 1, 2, 3
local LANE, OUTBOX, DUE, TIMES, DURABLE, TOUCHED, STRUCTURAL = 1, 2, 3, 4, 5, 6, 6
local call, read, pack, max, min = redis.call, struct.unpack, struct.pack, math.max, math.min
local has = bit.band
local wrote = false

local function write(...)
  local answer = call(...)
  wrote = true
  return answer
end

local function corrupt(what)
  error('CORRUPT ' .. what .. ' is not in its format', 0)
end

local function add(at, span)
  return min(at + span, MOST)
end

-- The next multiple of a sixteenth of `per`, not before `at`.
local function rounded_up(at, per)
  local step = max(math.ceil(per / 16), 1)
  local over = math.fmod(at, step)
  if over == 0 then return at end
  return min(at - over + step, MOST)
end

-- Windows: newest, ended, and the stamps, oldest first, each an instant and its units. Runs: last, count, run.
local function empty(kind)
  if kind == WINDOW then return { kind = WINDOW, newest = 0, ended = 0, n = 0 } end
  return { kind = RUN, last = 0, count = 0, run = 0 }
end

-- A state as it is kept; nothing where it may be forgotten at `now`.
local function state_of(bytes, now)
  if not bytes then return nil end
  local size = #bytes
  if size < 18 then corrupt('a counter') end
  local format, kind, ends, newest, pos = read('<BBI8I8', bytes)
  if format ~= 1 or ends > MOST or newest > MOST then corrupt('a counter') end
  local state
  if kind == RUN then
    if size ~= 34 then corrupt('a counter') end
    local count, run = read('<I8I8', bytes, pos)
    if count > 4294967295 or run > 4294967295 then corrupt('a counter') end
    state = { kind = RUN, last = newest, count = count, run = run }
  elseif kind == WINDOW or kind == ENDED_WINDOW then
    local ended = 0
    if kind == ENDED_WINDOW then
      if size < 26 then corrupt('a counter') end
      ended, pos = read('<I8', bytes, pos)
      if ended == 0 or ended > MOST then corrupt('a counter') end
    end
    local n = (size - pos + 1) / 16
    if n ~= math.floor(n) or n > MAX_STAMPS then corrupt('a counter') end
    state = { kind = WINDOW, newest = newest, ended = ended, n = n }
    local before = -1
    for i = 1, n do
      local at, units
      at, units, pos = read('<I8I8', bytes, pos)
      if at <= before or at > MOST or units > MOST then corrupt('a counter') end
      before = at
      state[2 * i - 1], state[2 * i] = at, units
    end
  else
    corrupt('a counter')
  end
  if ends <= now then return nil end
  return state
end

local function bytes_of(state, ends)
  if state.kind == RUN then
    return pack('<BBI8I8I8I8', 1, RUN, ends, state.last, state.count, state.run)
  end
  local head
  if state.ended == 0 then
    head = pack('<BBI8I8', 1, WINDOW, ends, state.newest)
  else
    head = pack('<BBI8I8I8', 1, ENDED_WINDOW, ends, state.newest, state.ended)
  end
  if state.n == 1 then return head .. pack('<I8I8', state[1], state[2]) end
  local parts = { head }
  for i = 1, state.n do parts[i + 1] = pack('<I8I8', state[2 * i - 1], state[2 * i]) end
  return table.concat(parts)
end

-- Puts units in their place among stamps.
local function insert(stamps, at, units)
  local i = 1
  while i <= stamps.n and stamps[2 * i - 1] < at do i = i + 1 end
  if i <= stamps.n and stamps[2 * i - 1] == at then
    stamps[2 * i] = min(stamps[2 * i] + units, MOST)
    return
  end
  for j = stamps.n, i, -1 do stamps[2 * j + 1], stamps[2 * j + 2] = stamps[2 * j - 1], stamps[2 * j] end
  stamps[2 * i - 1], stamps[2 * i] = at, units
  stamps.n = stamps.n + 1
end

local function is_forgotten(run, forget, now)
  return run.count == 0 or now >= add(run.last, forget)
end

local function denied(state, rule, cost, now)
  if rule.kind == WINDOW then
    now = max(now, state.newest)
    local used = 0
    for i = 1, state.n do
      if add(state[2 * i - 1], rule.per) > now then used = used + state[2 * i] end
    end
    return used + cost > rule.max
  end
  local failures = 0
  if not is_forgotten(state, rule.forget, now) then failures = state.count end
  local wait
  for i = 1, rule.waits do
    if rule[2 * i - 1] > failures then break end
    wait = rule[2 * i]
  end
  if not wait then return false end
  return max(now, state.last) < min(add(state.last, wait), add(state.last, rule.forget))
end

local function counted(state, rule, cost, now)
  if rule.kind == RUN then
    now = max(now, state.last)
    if state.count > 0 and is_forgotten(state, rule.forget, now) then
      return { kind = RUN, last = now, count = 1, run = (state.run + 1) % 4294967296 }
    end
    return { kind = RUN, last = now, count = min(state.count + 1, 4294967295), run = state.run }
  end
  now = max(now, state.newest)
  local after = { kind = WINDOW, newest = now, ended = state.ended, n = 0 }
  for i = 1, state.n do
    local at = state[2 * i - 1]
    if add(at, rule.per) > now then
      after.n = after.n + 1
      after[2 * after.n - 1], after[2 * after.n] = at, state[2 * i]
    end
  end
  if cost == 0 then return after end
  local at = now
  if rule.max > EXACT_UP_TO then at = rounded_up(now, rule.per) end
  insert(after, at, min(cost, MOST))
  if after.n <= MAX_STAMPS then return after end
  local gridded = { kind = WINDOW, newest = now, ended = state.ended, n = 0 }
  for i = 1, after.n do insert(gridded, rounded_up(after[2 * i - 1], rule.per), after[2 * i]) end
  return gridded
end

-- When a state decides nothing any more: of a window by its length, of a run by how long it is remembered.
local function outlived(state, span)
  if state.kind == RUN then
    if state.count == 0 then return add(state.last, CLOSING_WAIT) end
    return add(state.last, span)
  end
  local ends = state.newest
  if state.n > 0 then ends = max(ends, add(state[2 * state.n - 1], span)) end
  if state.ended > 0 then ends = max(ends, add(state.ended, CLOSING_WAIT)) end
  return ends
end

local function reset(state, now)
  if state.kind == RUN then
    return { kind = RUN, last = state.last, count = 0, run = (state.run + 1) % 4294967296 }
  end
  return { kind = WINDOW, newest = state.newest, ended = max(now, state.newest), n = 0 }
end

local function units_taken_back(state, per, units, at)
  if at <= state.ended then return state end
  local grid, exact, near = rounded_up(at, per), nil, nil
  for i = 1, state.n do
    if state[2 * i - 1] == at then exact = exact or i end
    if state[2 * i - 1] == grid then near = near or i end
  end
  local found = exact or near
  local after = { kind = WINDOW, newest = state.newest, ended = state.ended, n = 0 }
  for i = 1, state.n do
    local left = state[2 * i]
    if i == found then left = max(left - units, 0) end
    if left > 0 then
      after.n = after.n + 1
      after[2 * after.n - 1], after[2 * after.n] = state[2 * i - 1], left
    end
  end
  return after
end

local function failure_taken_back(state, before_last, last, count, run)
  if state.run ~= run or state.count == 0 then return state end
  local undone = state.last == last and state.count == count
  return { kind = RUN, last = undone and before_last or state.last, count = state.count - 1, run = state.run }
end

-- The visible part of a row, which may be over.
local function row_of(bytes)
  if not bytes then return nil end
  if #bytes < 36 then corrupt('a row') end
  local format, flags, version, ends, live, due, fingerprint, seal = read('<BBI8I8I8I8BB', bytes)
  if format ~= 1 or flags > 15 or max(version, ends, live, due) > MOST then corrupt('a row') end
  return {
    version = version,
    ends = ends,
    durable = has(flags, 1) ~= 0,
    live = has(flags, 2) ~= 0 and live or 0,
    due = has(flags, 4) ~= 0 and due or nil,
    under = has(flags, 8) ~= 0 and pack('<BB', fingerprint, seal) or nil,
  }
end

local function decide()
  local plan, payload = ARGV[1], 3
  local now, not_after, margin, looks_back, uses_up, made, most_events, most_bytes, is_known, fill, accepts, cools, touches, pos =
    read('<I8I8I8I8I8I8I8I8BBBBB', plan)
  local prints, counters, records, claims, takebacks, resets, charges, changes, makes, unclaims, events, alerts
  prints, counters, records, claims, takebacks, resets, charges, changes, makes, unclaims, events, alerts, pos =
    read('<I2I2I2I2I2I2I2I2I2I2I2I2', plan, pos)

  local function next_payload()
    payload = payload + 1
    return ARGV[payload]
  end

  local time = call('TIME')
  local clock = time[1] * 1000 + math.floor(time[2] / 1000)
  if not_after > 0 and clock > not_after then return { 'late', clock } end

  -- What is there.
  local lane = call('HMGET', KEYS[LANE], 'version', 'seq', 'bytes', 'epoch', 'made', 'accepted', 'server', 'moved')
  local version, seq, waiting_bytes = tonumber(lane[1] or 0), tonumber(lane[2] or 0), tonumber(lane[3] or 0)
  local scopes, print_of, place_of, of_print = {}, {}, {}, {}
  for i = 1, prints do scopes[i], of_print[i] = {}, {} end
  for i = 1, counters do
    local print, scope
    print, scope, pos = read('<I2c8', plan, pos)
    local named = scopes[print]
    named[#named + 1] = scope
    print_of[i], place_of[i] = print, #named
    of_print[print][#named] = i
  end
  local before = {}
  for print = 1, prints do
    local values = call('HMGET', KEYS[STRUCTURAL + print], unpack(scopes[print]))
    for place, i in ipairs(of_print[print]) do before[i] = values[place] end
  end
  local rows, row_bytes, claim_bytes, claim_ends = {}, {}, {}, {}
  local first = STRUCTURAL + prints
  if records + claims > 0 then
    local values = call('MGET', unpack(KEYS, first + 1, first + records + claims))
    for i = 1, records do
      row_bytes[i] = values[i]
      rows[i] = row_of(values[i])
    end
    for i = 1, claims do
      local bytes = values[records + i]
      claim_bytes[i] = bytes
      if bytes then
        if #bytes < 9 then corrupt('a claim') end
        local format, ends = read('<BI8', bytes)
        if format ~= 1 or ends > MOST then corrupt('a claim') end
        claim_ends[i] = ends
      end
    end
  end

  -- Where it is held, and since when.
  local epoch, since, accepted, server, moved = lane[4], tonumber(lane[5] or 0), lane[6] == '1', lane[7], tonumber(lane[8] or 0)
  local here, settles = ARGV[3], false
  if not epoch then
    epoch, since, accepted, server, moved, settles = ARGV[2], made, accepts == 1, nil, 0, true
    if since == 0 then since = clock end
  end
  -- Another server has another history and is another process. A master that no replica follows changes the id of its history, and
  -- lines from before know the one before.
  local is_held_here = server and (server:sub(1, 40) == here:sub(1, 40) or #here > 40 and server:sub(41) == here:sub(41))
  if here ~= '' and not is_held_here then
    if server then
      moved = clock
      if cools == 1 then epoch, since, accepted = ARGV[2], clock, false end
    end
    server, settles = here, true
  end

  -- Counters, as they become.
  local states, ends, changed, is_read = {}, {}, {}, {}
  for i = 1, counters do
    states[i] = state_of(before[i], now)
    ends[i] = 0
  end
  local put, comes_new = {}, false
  local function is_free(claim)
    local held = claim_ends[claim]
    return not held or held <= now
  end
  local function make(claim, bytes, claim_until)
    put[claim] = { bytes, claim_until }
    comes_new = comes_new or not claim_bytes[claim]
  end
  for _ = 1, takebacks do
    local counter, claim, marker_ends, kind
    counter, claim, marker_ends, kind, pos = read('<I2I2I8B', plan, pos)
    local marker = next_payload()
    local state, after, over = states[counter], nil, 0
    if kind == WINDOW then
      local per, units, at
      per, units, at, pos = read('<I8I8I8', plan, pos)
      if state and state.kind == WINDOW then
        after = units_taken_back(state, per, units, at)
        over = outlived(after, per)
      end
    else
      local before_last, last, count, run, forget
      before_last, last, count, run, forget, pos = read('<I8I8I4I4I8', plan, pos)
      if state and state.kind == RUN then
        after = failure_taken_back(state, before_last, last, count, run)
        over = outlived(after, forget)
      end
    end
    if is_free(claim) then
      make(claim, marker, marker_ends)
      if after then
        states[counter], ends[counter], changed[counter] = after, max(ends[counter], over), true
      end
    end
  end
  for _ = 1, resets do
    local counter
    counter, pos = read('<I2', plan, pos)
    local state = states[counter]
    if state then
      state = reset(state, now)
      states[counter], ends[counter], changed[counter] = state, outlived(state, 0), true
    end
  end
  local refused = false
  for _ = 1, charges do
    local counter, mode, cost, kind
    counter, mode, cost, kind, pos = read('<I2BI8B', plan, pos)
    local rule = { kind = kind }
    if kind == WINDOW then
      rule.max, rule.per, pos = read('<I8I8', plan, pos)
    else
      rule.forget, rule.waits, pos = read('<I8I2', plan, pos)
      for i = 1, rule.waits do rule[2 * i - 1], rule[2 * i], pos = read('<I4I8', plan, pos) end
    end
    local lives
    lives, pos = read('<I2', plan, pos)
    local counts = mode ~= 2 and lives == 0
    for _ = 1, lives do
      local record
      record, pos = read('<I2', plan, pos)
      local row = rows[record]
      if row and mode ~= 2 and (row.durable or row.ends > now) and now < row.live then counts = true end
    end
    local state = states[counter]
    if not state then state = empty(kind) end
    local of_rule = state
    if state.kind ~= kind then of_rule = empty(kind) end
    if mode ~= 1 and denied(of_rule, rule, cost, now) then refused = true end
    if counts then
      state = counted(of_rule, rule, cost, now)
      ends[counter] = max(ends[counter], outlived(state, rule.per or rule.forget))
      changed[counter] = true
    end
    states[counter] = state
  end

  -- Records and claims.
  local row_put = {}
  for _ = 1, changes do
    local record, expects, expected, writes
    record, expects, expected, writes, pos = read('<I2BI8B', plan, pos)
    local row = rows[record]
    if row and not row.durable and row.ends <= now then row = nil end
    if expects == 0 then
      if row then refused = true end
    elseif not row or row.version ~= expected then
      refused = true
    end
    if writes == 1 then
      row_put[record] = next_payload()
      comes_new = comes_new or not row_bytes[record]
    elseif writes == 2 then
      row_put[record] = false
    end
  end
  for _ = 1, makes do
    local claim, claim_until
    claim, claim_until, pos = read('<I2I8', plan, pos)
    if not is_free(claim) then refused = true end
    make(claim, next_payload(), claim_until)
  end
  for _ = 1, unclaims do
    local claim
    claim, pos = read('<I2', plan, pos)
    put[claim] = false
  end
  local raised, marker_of, marked = {}, {}, {}
  for i = 1, alerts do
    local claim, claim_until
    claim, claim_until, pos = read('<I2I8', plan, pos)
    local marker = next_payload()
    if is_free(claim) then
      raised[#raised + 1] = i
      marker_of[#raised], marked[#raised] = { marker, claim_until }, claim
    end
  end

  -- What it may have forgotten.
  if looks_back > 0 and not accepted and min(now, clock) < add(add(since, looks_back), SKEW) then refused = true end
  if uses_up > 0 then
    local issued = uses_up - 1
    if accepted then
      if issued < since and since <= add(now, SKEW) then refused = true end
    elseif issued < add(since, SKEW) then
      refused = true
    end
  end

  -- Room, with alerts or without.
  local decision = refused and 'refused' or 'applied'
  local waiting = 0
  if not refused then
    if events + #raised > 0 then waiting = call('XLEN', KEYS[OUTBOX]) end
    local outbox_is_full = is_known == 0 and (waiting >= most_events or waiting_bytes >= most_bytes)
    local has_room = fill == 0 or (fill == 1 and is_known == 1)
    for i = 1, counters do
      if changed[i] and not before[i] then comes_new = true end
    end
    local function lacks(told, new)
      if told > 0 and outbox_is_full then return true end
      return not has_room and (told > 0 or new)
    end
    local alert_is_new = false
    for _, claim in ipairs(marked) do
      if not claim_bytes[claim] then alert_is_new = true end
    end
    if lacks(events + #raised, comes_new or alert_is_new) then
      if alerts > 0 and not lacks(events, comes_new) then
        decision = 'without alerts'
        raised = {}
      else
        decision = 'full'
      end
    end
    if decision ~= 'without alerts' then
      for i, claim in ipairs(marked) do put[claim] = marker_of[i] end
    end
  end

  -- All that is to be written, made before anything is.
  local writes = decision == 'applied' or decision == 'without alerts'
  local after, marks = {}, {}
  local due_put, due_gone, times_gone, durable_put, durable_gone = {}, {}, {}, {}, {}
  local event_bytes, event_ids, is_put = {}, {}, false
  if writes then
    for i = 1, counters do
      after[i] = changed[i] and bytes_of(states[i], add(ends[i], SKEW)) or false
    end
    for i = 1, records do
      local bytes, old = row_put[i], rows[i]
      if bytes == nil then
        marks[i] = '-'
      else
        -- The key's end is the record's name inside the service.
        local member = KEYS[first + i]:sub(-17)
        local row = bytes and row_of(bytes)
        if bytes then
          marks[i], is_put = 'p', true
          row_put[i] = { bytes:sub(1, 2) .. pack('<I8', version + 1) .. bytes:sub(11), row }
        else
          marks[i] = 'd'
        end
        if row and row.due then
          due_put[#due_put + 1] = row.due
          due_put[#due_put + 1] = member
        elseif not old or old.due then
          due_gone[#due_gone + 1] = member
        end
        if not old or old.due then times_gone[#times_gone + 1] = member end
        local was = old and old.durable and old.under
        local is = row and row.durable and row.under
        if was and was ~= is then durable_gone[#durable_gone + 1] = was .. member end
        if is and was ~= is then
          durable_put[#durable_put + 1] = 0
          durable_put[#durable_put + 1] = is .. member
        end
      end
    end
    for i = 1, claims do
      local claim = put[i]
      marks[records + i] = claim == nil and '-' or claim and 'p' or 'd'
    end
    for i = 1, events do event_bytes[i] = next_payload() end
    for _, i in ipairs(raised) do event_bytes[#event_bytes + 1] = ARGV[payload + i] end
    for i, bytes in ipairs(event_bytes) do
      event_ids[i] = string.format('%.0f-0', seq + i)
      waiting_bytes = waiting_bytes + #bytes
    end
    -- A key of another kind fails here, and not half-way.
    if #due_put + #due_gone + #times_gone > 0 then
      call('ZCARD', KEYS[DUE])
      call('HLEN', KEYS[TIMES])
    end
    if #durable_put + #durable_gone > 0 then call('ZCARD', KEYS[DURABLE]) end
  end

  local function ttl(ends_at)
    return max(ends_at - now + margin, 1)
  end

  if writes then
    -- The outbox first: it takes no place that it had, and says so before anything else is written.
    for i, bytes in ipairs(event_bytes) do write('XADD', KEYS[OUTBOX], event_ids[i], 'e', bytes) end
    for print = 1, prints do
      local key, fields, longest = KEYS[STRUCTURAL + print], {}, 0
      for place, i in ipairs(of_print[print]) do
        if after[i] then
          fields[#fields + 1] = scopes[print][place]
          fields[#fields + 1] = after[i]
          longest = max(longest, ttl(add(ends[i], SKEW)))
        end
      end
      if #fields > 0 then
        local left = call('PTTL', key)
        write('HSET', key, unpack(fields))
        -- It ends with the last of its counters.
        if left < longest then write('PEXPIRE', key, longest) end
      end
    end
    for i = 1, records do
      local row = row_put[i]
      if row then
        if row[2].durable then
          write('SET', KEYS[first + i], row[1])
        else
          write('SET', KEYS[first + i], row[1], 'PX', ttl(row[2].ends))
        end
      elseif row == false then
        write('DEL', KEYS[first + i])
      end
    end
    for i = 1, claims do
      local claim = put[i]
      if claim then
        write('SET', KEYS[first + records + i], claim[1], 'PX', ttl(claim[2]))
      elseif claim == false then
        write('DEL', KEYS[first + records + i])
      end
    end
    if #due_put > 0 then write('ZADD', KEYS[DUE], unpack(due_put)) end
    if #due_gone > 0 then write('ZREM', KEYS[DUE], unpack(due_gone)) end
    if #times_gone > 0 then write('HDEL', KEYS[TIMES], unpack(times_gone)) end
    if #durable_gone > 0 then write('ZREM', KEYS[DURABLE], unpack(durable_gone)) end
    if #durable_put > 0 then write('ZADD', KEYS[DURABLE], unpack(durable_put)) end
    if is_put or #event_bytes > 0 then
      write('HSET', KEYS[LANE], 'version', is_put and version + 1 or version, 'seq', seq + #event_bytes, 'bytes', waiting_bytes)
    end
  end
  if settles then
    write('HSET', KEYS[LANE], 'epoch', epoch, 'made', since, 'accepted', accepted and 1 or 0)
    if server then write('HSET', KEYS[LANE], 'server', server) end
    if moved > 0 then write('HSET', KEYS[LANE], 'moved', moved) end
  end
  if touches == 1 and write('PEXPIRE', KEYS[TOUCHED], 86400000) == 0 then
    write('SET', KEYS[TOUCHED], '', 'PX', 86400000)
  end

  local answer = {
    decision, clock, version + 1, epoch, since, accepted and 1 or 0, moved, table.concat(marks), #raised, settles and 1 or 0,
  }
  local n = #answer
  for i = 1, counters do
    answer[n + 1], answer[n + 2] = before[i] or false, after[i] or false
    n = n + 2
  end
  for i = 1, records do answer[n + i] = row_bytes[i] or false end
  n = n + records
  for i = 1, claims do answer[n + i] = claim_bytes[i] or false end
  return answer
end

local is_right, answer = pcall(decide)
if is_right then return answer end
local words = type(answer) == 'table' and answer.err or tostring(answer)
return redis.error_reply((wrote and 'VERIFYHALF ' or 'VERIFYNONE ') .. words)
