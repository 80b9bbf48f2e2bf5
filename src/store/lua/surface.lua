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
local prev, out, epoch = last_event_id(), {}, f.epoch + 1
redis.call('HSET', key('info'), 'epoch', epoch)
emit(out, ARGV[6], epoch .. '-0', ARGV[3], ARGV[2], f.turn, f.step, ARGV[5],
    ARGV[4])
publish(prev, out)
return { 'OK' }
