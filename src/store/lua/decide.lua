-- SPDX-License-Identifier: MIT
-- decide: the answer to a question, once.
--
-- ARGV: user, tenant whose agents the caller may decide for ('' only for its
-- own), call id, decision (JSON), now ms, whose answer ('' a human's, T a
-- sub-agent's), 1 if the caller has the budget role, and the caller's tenant.
--
-- Returns FORBIDDEN | UNKNOWN | DECIDED (before) | KEPT lease ('' nobody holds
-- the agent: it waits, and is to be taken).
local owner, tenant, state =
    unpack(redis.call('HMGET', key('info'), 'owner', 'tenant', 'state'))

local function is_of(its)
	return owner and (owner == ARGV[1] or its ~= '' and tenant == its)
end

local approves, pays = is_of(ARGV[2]), ARGV[7] == '1' and is_of(ARGV[8])
local before = redis.call('HGET', key('approvals'), ARGV[3])
local asks_budget = before == 'B' and ARGV[6] == ''
if not approves and not pays or asks_budget and not pays or
    before == '' and not approves then
	return { 'FORBIDDEN' }
end
if before ~= ARGV[6] and not asks_budget then
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
