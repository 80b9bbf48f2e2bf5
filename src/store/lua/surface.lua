-- SPDX-License-Identifier: MIT
-- surface: an event of a sub-agent in the log of the agent that made it. Who
-- holds that agent writes it; if nobody does, it is written here, under an
-- epoch of its own.
--
-- ARGV: user, kind, channel, rest (members), now ms, keep. Returns NONE |
-- HELD lease | OK.
local f = agent_read()
if f.owner ~= ARGV[1] then
	return { 'NONE' }
end
local held = redis.call('GET', key('lease'))
if held then
	return { 'HELD', held }
end
emit_alone(f, ARGV[6], ARGV[5], { { channel = ARGV[3], kind = ARGV[2],
    turn = f.turn, step = f.step, rest = ARGV[4] } })
return { 'OK' }
