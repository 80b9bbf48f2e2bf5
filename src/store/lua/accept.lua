-- accept: a message for an agent, kept from here on. If nobody runs the
-- agent, the caller gets the lease and the turn begins in the same step.
--
-- ARGV: user, message document, message id, turn id, idempotency key, its
-- seconds, inbox bound, onBusy, UUID:HOLDER, lease ms, now ms, keep,
-- 1 if the caller has room for a turn.
--
-- Returns FORBIDDEN | FULL | BUSY | OVERLOAD | REPEAT message turn after |
-- QUEUED after lease turn | BEGIN or RESUME as start() does.
local user, doc, message, turn = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local holder, ms, now, keep = ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local info, inbox, lease = key('info'), key('inbox'), key('lease')

local owner, running, epoch =
    unpack(redis.call('HMGET', info, 'owner', 'turn', 'epoch'))
if owner ~= user then
	return { 'FORBIDDEN' }
end
local held = redis.call('GET', lease)
local idem = key('idem:' .. ARGV[5])
local before = redis.call('GET', idem)
if before then
	-- A repetition, perhaps of a call whose answer was lost: then the
	-- lease is the caller's already.
	local m, t, after = string.match(before, '^(%S+) (%S+) (%S+)$')
	if held == epoch .. ':' .. holder then
		local out = redis.call('XRANGE', key('events'), epoch .. '-0',
		    epoch .. '-1')
		return { running == t and 'BEGIN' or 'RESUME', tonumber(epoch),
		    after, facts(), doc, { out[1][2][2], out[2][2][2] } }
	end
	return { 'REPEAT', m, t, after }
end
local waiting = redis.call('LLEN', inbox)
local busy = held or running ~= '' or waiting > 0
if busy and ARGV[8] == 'reject' then
	return { 'BUSY' }
end
if waiting >= tonumber(ARGV[7]) then
	return { 'FULL' }
end
if not held and ARGV[13] ~= '1' then
	return { 'OVERLOAD' }
end

local prev = last_event_id()
redis.call('RPUSH', inbox, doc)
redis.call('SET', idem, message .. ' ' .. turn .. ' ' .. prev, 'EX', ARGV[6])
if held then
	if ARGV[8] == 'interrupt' and running ~= '' then
		redis.call('HSET', info, 'interrupt', running)
	end
	return { 'QUEUED', prev, held, running }
end
return start(holder, ms, keep, now, prev)
