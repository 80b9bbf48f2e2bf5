-- take: the lease of an agent whose holder died or let it run out.
-- KEYS[3] is what counts of turns begin with, if there are any.
--
-- ARGV: the lease value that may be replaced ('' for none: only if nobody
-- holds it), UUID:HOLDER, lease ms, now ms, keep, budgets.
--
-- Returns HELD | IDLE (nothing to do; it is forgotten) | PARKED (it waits for
-- a human) | BEGIN or RESUME.
turns, budgets = KEYS[3], ARGV[6]
local held = redis.call('GET', key('lease'))
local f = agent_read()
local known = { version = '', messages = 0 }
if held and held ~= ARGV[1] then
	return started_before(f, held, ARGV[2], 'RESUME', '0-0', known) or
	    { 'HELD' }
end
if is_parked(f, held) then
	local deadline = redis.call('ZSCORE', KEYS[2], base)
	if deadline and tonumber(deadline) > tonumber(ARGV[4]) and
	    f.interrupt ~= f.turn and #decisions() == 0 then
		return { 'PARKED' }
	end
end
local docs
if f.turn == '' then
	docs = pop_next('')
end
if f.owner and (f.turn ~= '' or docs) then
	return start(f, ARGV[2], ARGV[3], ARGV[5], ARGV[4], last_event_id(),
	    docs, known)
end
redis.call('DEL', key('lease'))
redis.call('ZREM', KEYS[2], base)
uncount_turn()
return { 'IDLE' }
