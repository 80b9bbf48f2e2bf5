-- SPDX-License-Identifier: MIT
-- decide: the answer to a question, once.
--
-- ARGV: user, tenant whose agents the caller may decide for ('' only for its
-- own), call id, decision (JSON), now ms, whose answer ('' a human's, T a
-- sub-agent's).
--
-- Returns FORBIDDEN | UNKNOWN | DECIDED (before) | KEPT lease ('' nobody holds
-- the agent: it waits, and is to be taken).
local owner, tenant, state =
    unpack(redis.call('HMGET', key('info'), 'owner', 'tenant', 'state'))
if not owner or (owner ~= ARGV[1] and
    (ARGV[2] == '' or tenant ~= ARGV[2])) then
	return { 'FORBIDDEN' }
end
local before = redis.call('HGET', key('approvals'), ARGV[3])
if before ~= ARGV[6] then
	if before or redis.call('HEXISTS', key('tools'), ARGV[3]) == 1 then
		return { 'DECIDED' }
	end
	return { 'UNKNOWN' }
end
redis.call('HSET', key('approvals'), ARGV[3], ARGV[4])
local held = redis.call('GET', key('lease'))
if is_parked({ state = state }, held) then
	-- Whoever sweeps next finds it, should the caller not take it.
	redis.call('ZADD', KEYS[2], ARGV[5], base)
end
return { 'KEPT', held or '' }
