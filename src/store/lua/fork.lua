-- SPDX-License-Identifier: MIT
-- fork: another agent with the same history, up to now or to a checkpoint; and
-- rewind: this agent goes back to a checkpoint, and what it leaves becomes the
-- fork. References are copied, never messages.
--
-- ARGV: user, fork or rewind, the new agent's id, its
-- segment, a segment for this one (rewind), checkpoint id or label ('' now),
-- onBusy (reject or last), name ('' this one's), now ms, keep.
--
-- Returns FORBIDDEN | BUSY | UNKNOWN (no such checkpoint) | OK messages.
local f = agent_read()
if f.owner ~= ARGV[1] then
	return { 'FORBIDDEN' }
end
local child = string.match(base, '^(.*:)[^:]*$') .. ARGV[3]
if redis.call('EXISTS', child .. ':info') == 1 then -- a repeated call
	return { 'OK', tonumber(redis.call('HGET', child .. ':info', 'before')) }
end
local rewinds = ARGV[2] == 'rewind'
if f.turn ~= '' and (ARGV[7] == 'reject' or rewinds) then
	return { 'BUSY' }
end
local point
if ARGV[6] ~= '' then
	local id = redis.call('HGET', key('labels'), ARGV[6]) or ARGV[6]
	local doc = redis.call('HGET', key('checkpoints'), id)
	if not doc then
		return { 'UNKNOWN' }
	end
	point = cjson.decode(doc)
end

local function references_of(p)
	local out = {}
	for reference in string.gmatch(p.references, '%S+') do
		out[#out + 1] = reference
	end
	return out, p.messages
end

-- Makes references, and a tail of its own, the history of an agent.
local function give_history(at, references, length, tail)
	redis.call('DEL', at .. ':segments')
	for _, reference in ipairs(references) do
		local segment = string.match(reference, '^[^:]+')
		redis.call('SADD', segment_key(segment) .. ':refs', at)
		redis.call('SADD', at .. ':held', segment)
		redis.call('RPUSH', at .. ':segments', reference)
	end
	redis.call('SADD', segment_key(tail) .. ':refs', at)
	redis.call('SADD', at .. ':held', tail)
	redis.call('RPUSH', at .. ':segments', tail .. ':*')
	redis.call('HSET', at .. ':info', 'tail', tail, 'before', length,
	    'context', '')
end

local references, length = safe_references(f)
local todos = f.todos
if point and not rewinds then
	references, length = references_of(point)
	todos = point.todos
end
local info = redis.call('HGETALL', key('info'))
redis.call('HSET', child .. ':info', unpack(info))
redis.call('HSET', child .. ':info', 'created', ARGV[9], 'updated', ARGV[9],
    'version', 1, 'state', 'READY', 'turn', '', 'epoch', 0, 'interrupt', '',
    'calls', '', 'tokens', 0, 'resumes', 0, 'step', 1, 'todos', todos,
    'parent', string.match(base, '[^:]*$'), 'lineage',
    (f.lineage == '' and '' or f.lineage .. ' ') ..
    string.match(base, '[^:]*$'), 'task', '', 'purse', '',
    'question', '', 'reminders', '', 'workspace', '',
    'last', '', 'session', '', 'options', '', 'loaded', '', 'env', '',
    'touched', 0, 'unsaved', '',
    'point',
    point and not rewinds and point.id or '')
if ARGV[8] ~= '' then
	redis.call('HSET', child .. ':info', 'name', ARGV[8])
end
give_history(child, references, length, ARGV[4])

if rewinds then
	references, length = references_of(point)
	give_history(base, references, length, ARGV[5])
	redis.call('HSET', key('info'), 'todos', point.todos, 'updated',
	    ARGV[9])
	redis.call('HINCRBY', key('info'), 'version', 1)
	emit_alone(f, ARGV[10], ARGV[9], { { channel = 'monitor',
	    kind = 'rewind', turn = '', step = 0, rest = ',"checkpoint":"' ..
	    point.id .. '","messages":' .. length .. ',"fork":"' .. ARGV[3] ..
	    '"' } })
end
return { 'OK', length }
