-- accept: a message for an agent, kept from here on. If nobody runs the
-- agent, the caller gets the lease and the turn begins in the same step.
--
-- KEYS[3] is the queue of agents that wait for room, KEYS[4] what the counts
-- of turns begin with, if there are any. ARGV: user, message document, message
-- id, turn id, idempotency key, its seconds, inbox bound, onBusy, UUID:HOLDER,
-- lease ms, now ms, keep, the caller's room for a turn (none, later, now,
-- forced: now, whoever waits), the version and the number of messages that it
-- has seen, how many may wait, for how many ms, how many turns of the user
-- run, how many of a user and of a tenant may (0: any), and budgets.
--
-- Returns FORBIDDEN | FULL | BUSY | OVERLOAD setting | LIMIT setting |
-- REPEAT message turn after over | QUEUED after lease running-turn turn ('' for
-- lease: it waits for a human) | WAITS after '' '' turn (for room) | BEGIN or
-- RESUME as start() does.
local user, doc, message, turn = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local holder, ms, now, keep = ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local known = { version = ARGV[14], messages = tonumber(ARGV[15]) }
local inbox = key('inbox')
local queue, room = KEYS[3], ARGV[13]
local WAIT_MS = 3600000 -- that one counts which waits
turns, budgets = KEYS[4], ARGV[21]

-- The setting that keeps this agent out of the queue, or nil.
local function queue_bound(clock)
	if room == 'none' or tonumber(ARGV[16]) == 0 then
		return 'limits.turns'
	end
	if redis.call('ZCARD', queue) >= tonumber(ARGV[16]) then
		return 'limits.queue'
	end
	local oldest = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
	if oldest[1] and clock - oldest[2] > tonumber(ARGV[17]) then
		return 'limits.queue_age'
	end
end

-- Users are served in rounds, one agent of each. Who comes first joins the
-- next round, and a later one by as many as turns of his run already.
local function wait_in_queue(clock)
	if redis.call('ZADD', queue, 'NX', clock, base) == 0 then
		return
	end
	local rounds = queue .. ':rounds'
	local place = redis.call('HINCRBY', rounds, 'place', 1)
	redis.call('ZADD', queue .. ':user:' .. user, place, base)
	local round = redis.call('HGET', rounds, 'round') or 0
	redis.call('ZADD', queue .. ':users', 'NX',
	    (round + 1 + ARGV[18]) * ROUND + place % ROUND, user)
	if redis.call('ZCARD', queue) == 1 then
		redis.call('PUBLISH', queue, 'waiting')
	end
end

local f = agent_read()
if f.owner ~= user then
	return { 'FORBIDDEN' }
end
local idem = key('idem:' .. ARGV[5])
local held, before = unpack(redis.call('MGET', key('lease'), idem))
if before then
--+ needs
	-- A repetition, perhaps of a call whose answer was lost: then the
	-- lease is the caller's already.
	local m, t, after = string.match(before, '^(%S+) (%S+) (%S+)$')
	local again = started_before(f, held, holder,
	    f.turn == t and 'BEGIN' or 'RESUME', after, known)
	if again then
		return again
	end
	local over = f.turn ~= t
	for _, waiting in ipairs(redis.call('LRANGE', inbox, 0, -1)) do
		over = over and not string.find(waiting, t, 1, true)
	end
	return { 'REPEAT', m, t, after, over and 1 or 0 }
--+ end
end
local waiting = redis.call('LLEN', inbox)
local busy = held or f.turn ~= '' or waiting > 0
if busy and ARGV[8] == 'reject' then
	return { 'BUSY' }
end
if waiting >= tonumber(ARGV[7]) then
	return { 'FULL' }
end
local parked = is_parked(f, held)
local asks_for_room = not held and not parked and room ~= 'forced'
if asks_for_room and turns then
--+ needs
	local clock = clock_ms()
	local settings = { 'limits.turns_per_user', 'limits.tenant_turns' }
	for i, zset in ipairs(turn_zsets(f)) do
		local max = tonumber(ARGV[18 + i])
		if max > 0 and redis.call('ZCOUNT', zset, clock, '+inf') >= max and
		    not redis.call('ZSCORE', zset, base) then
			return { 'LIMIT', settings[i] }
		end
	end
--+ end
end
local clock, waits
if asks_for_room then
	waits = room ~= 'now' or redis.call('EXISTS', queue) == 1
end
if waits then
--+ needs
	clock = clock_ms()
	local setting = not redis.call('ZSCORE', queue, base) and
	    queue_bound(clock)
	if setting then
		return { 'OVERLOAD', setting }
	end
--+ end
end

-- A message that joins others is of their turn.
local joins
if ARGV[8] == 'steer' and f.turn ~= '' then
	joins = f.turn
elseif ARGV[8] == 'merge' and waiting > 0 then
	local _, last = parts(redis.call('LINDEX', inbox, -1))
	joins = last ~= f.turn and last or nil
end
if joins then
--+ needs
	turn, doc = joins, with_turn(doc, joins)
--+ end
end

if f.session ~= '' then
--+ needs
	wake_session(f, now)
--+ end
end
local prev = last_event_id_of(f)
redis.call('SET', idem, message .. ' ' .. turn .. ' ' .. prev, 'EX', ARGV[6])
if waits then
	redis.call('RPUSH', inbox, doc)
	wait_in_queue(clock)
	count_turn(WAIT_MS, f)
	return { 'WAITS', prev, '', '', turn }
end
if not busy then
	return start(f, holder, ms, keep, now, prev, { doc }, known)
end
redis.call('RPUSH', inbox, doc)
if not held and not parked then
	-- Its holder is gone. What it left comes first.
	local first
	if f.turn == '' then
--+ needs
		first = pop_next('')
--+ end
	end
	return start(f, holder, ms, keep, now, prev, first, known)
end
if ARGV[8] == 'interrupt' and f.turn ~= '' then
	redis.call('HSET', key('info'), 'interrupt', f.turn)
	if parked then
		redis.call('ZADD', KEYS[2], now, base)
	end
end
return { 'QUEUED', prev, held or '', f.turn, turn }
