-- SPDX-License-Identifier: MIT
-- checkpoint: a place in the history to go back to, or to fork from. It is a
-- safe one: while a turn runs, the one before it.
--
-- ARGV: user, checkpoint id, label ('' none), onBusy (reject or last), now ms,
-- bound.
--
-- Returns FORBIDDEN | BUSY | LABEL (in use) | FULL | OK document.
local f = agent_read()
if f.owner ~= ARGV[1] then
	return { 'FORBIDDEN' }
end
local before = redis.call('HGET', key('checkpoints'), ARGV[2])
if before then
	return { 'OK', before } -- a repeated call
end
if f.turn ~= '' and ARGV[4] == 'reject' then
	return { 'BUSY' }
end
if ARGV[3] ~= '' and redis.call('HEXISTS', key('labels'), ARGV[3]) == 1 then
	return { 'LABEL' }
end
if redis.call('HLEN', key('checkpoints')) >= tonumber(ARGV[6]) then
	return { 'FULL' }
end
local references, length = safe_references(f)
local doc = cjson.encode({ id = ARGV[2], label = ARGV[3],
    created = tonumber(ARGV[5]), messages = length, event = last_event_id(),
    references = table.concat(references, ' '), todos = f.todos })
redis.call('HSET', key('checkpoints'), ARGV[2], doc)
if ARGV[3] ~= '' then
	redis.call('HSET', key('labels'), ARGV[3], ARGV[2])
end
return { 'OK', doc }
