-- SPDX-License-Identifier: MIT
-- withdraw: messages that no turn has taken yet, out of the inbox.
--
-- KEYS[3] is the queue of agents that wait for room, KEYS[4] what counts of
-- turns begin with, if there are any. ARGV: user, message id ('' all), now ms,
-- keep.
--
-- Returns FORBIDDEN | OK lease messages turns. The turns are those that no
-- message is left of: they will never run, and who holds the lease says so to
-- their viewers. Nobody holds it while the agent waits for a human, or for
-- room: then the script says it, under an epoch of its own.
local f = agent_read()
if f.owner ~= ARGV[1] then
	return { 'FORBIDDEN' }
end
turns = KEYS[4]
local gone, left, messages, over = {}, { [f.turn] = true }, {}, {}
for _, doc in ipairs(redis.call('LRANGE', key('inbox'), 0, -1)) do
	local message, turn = parts(doc)
	if ARGV[2] == '' or ARGV[2] == message then
		redis.call('LREM', key('inbox'), 1, doc)
		messages[#messages + 1] = message
		gone[#gone + 1] = turn
	else
		left[turn] = true
	end
end
for _, turn in ipairs(gone) do
	if not left[turn] then
		left[turn] = true
		over[#over + 1] = turn
	end
end
local held = redis.call('GET', key('lease'))
if not held and #over > 0 then
	local events = {}
	for i, turn in ipairs(over) do
		events[i] = { channel = 'progress', kind = 'done', turn = turn,
		    step = 0, rest = ',"reason":"withdrawn"' }
	end
	emit_alone(f, ARGV[4], ARGV[3], events)
end
if not held and f.turn == '' and redis.call('LLEN', key('inbox')) == 0 then
	uncount_turn() -- it has nothing to wait for
	leave_queue(KEYS[3], f.owner)
end
return { 'OK', held or '', messages, over }
