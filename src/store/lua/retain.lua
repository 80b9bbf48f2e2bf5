-- SPDX-License-Identifier: MIT
-- retain: drops what is too old of an agent, some of it: bounded, so that
-- nobody waits for it. It may be asked again at once.
--
-- ARGV: times in ms before which events and records of tool calls are too old,
-- how many windows to keep, a time before which the agent was last at work if
-- it is idle, and how many bytes of Redis the log and the records may take;
-- each '' for ever or all.
--
-- The newest event stays, as ids and cursors go on from it; so do records of
-- the step that runs, and what a checkpoint refers to. A window that is
-- dropped leaves its number empty, so others keep theirs.
--
-- Returns NONE (no agent) | OK owner events calls windows more idle files:
-- files, the agent has a workspace of its own and is not at work in it.
local ENTRIES, ROUNDS, CALLS, WINDOWS = 20, 20, 50, 20
local f = agent_read()
if not f.owner then
	return { 'NONE' }
end
local more = 0

local function drop_events(before)
	local dropped = 0
	for _ = 1, ROUNDS do
		local entries = redis.call('XRANGE', key('events'), '-', '+',
		    'COUNT', ENTRIES)
		local from
		for _, entry in ipairs(entries) do
			-- Before any text of a user's: emit() has the order.
			local time = tonumber(string.match(
			    entry[2][#entry[2]], '"time":(%d+)'))
			if not time or time >= before then
				from = entry[1]
				break
			end
		end
		local last = entries[#entries]
		local n = last and redis.call('XTRIM', key('events'), 'MINID',
		    from or last[1]) or 0
		dropped = dropped + n
		if from or n == 0 then
			return dropped
		end
	end
	more = 1
	return dropped
end

-- How many of n parts of equal size a key has beyond so many bytes.
local function excess(part, n, max)
	local bytes = redis.call('MEMORY', 'USAGE', key(part)) or 0
	if bytes <= max then
		return 0
	end
	return math.ceil(n * (1 - max / bytes))
end

local function shrink_events(max)
	local n = redis.call('XLEN', key('events'))
	local drop = math.min(excess('events', n, max), n - 1, ENTRIES * ROUNDS)
	if drop <= 0 then
		return 0
	end
	more = 1
	return redis.call('XTRIM', key('events'), 'MAXLEN', n - drop)
end

-- The first of them, while they are too old or there are so many too many.
local function drop_calls(before, drop)
	for n = 0, CALLS - 1 do
		local id = redis.call('LINDEX', key('calls'), 0)
		if not id or string.find(f.calls, id, 1, true) or
		    redis.call('HEXISTS', key('approvals'), id) == 1 then
			return n
		end
		local doc = redis.call('HGET', key('tools'), id)
		local ok, record = pcall(cjson.decode, doc or '{}')
		if n >= drop and ok and
		    (tonumber(record.createdAt) or 0) >= before then
			return n
		end
		redis.call('LPOP', key('calls'))
		redis.call('HDEL', key('tools'), id)
	end
	more = 1
	return CALLS
end

-- Segments that the history, its windows and checkpoints are made of.
local function needed_segments()
	local needed = {}
	local function need(references)
		for segment in string.gmatch(references, '([^%s:]+):') do
			needed[segment] = true
		end
	end
	for _, list in ipairs({ 'segments', 'windows' }) do
		for _, text in ipairs(redis.call('LRANGE', key(list), 0, -1)) do
			need(text)
		end
	end
	for _, doc in ipairs(redis.call('HVALS', key('checkpoints'))) do
		need(cjson.decode(doc).references)
	end
	return needed
end

local function drop_segments()
	local needed = needed_segments()
	for _, segment in ipairs(redis.call('SMEMBERS', key('held'))) do
		if not needed[segment] then
			redis.call('SREM', key('held'), segment)
			leave_segment(segment)
		end
	end
end

local function drop_windows(keep)
	local at, n = redis.call('LLEN', key('windows')) - keep - 1, 0
	while at >= 0 and n < WINDOWS and
	    redis.call('LINDEX', key('windows'), at) ~= '' do
		redis.call('LSET', key('windows'), at, '')
		at, n = at - 1, n + 1
	end
	if n > 0 then
		drop_segments()
	end
	return n
end

local function is_idle(before)
	local updated = redis.call('HGET', key('info'), 'updated')
	return f.turn == '' and (tonumber(updated) or before) < before and
	    redis.call('LLEN', key('inbox')) == 0
end

local events = ARGV[1] ~= '' and drop_events(tonumber(ARGV[1])) or 0
if ARGV[5] ~= '' then
	events = events + shrink_events(tonumber(ARGV[5]))
end
local beyond = ARGV[6] == '' and 0 or excess('tools',
    redis.call('LLEN', key('calls')), tonumber(ARGV[6]))
local calls = (ARGV[2] ~= '' or beyond > 0) and
    drop_calls(tonumber(ARGV[2]) or 0, beyond) or 0
local windows = ARGV[3] ~= '' and drop_windows(tonumber(ARGV[3])) or 0
local idle = ARGV[4] ~= '' and is_idle(tonumber(ARGV[4]))
local files = f.turn == '' and
    (redis.call('HGET', key('info'), 'workspace') or '') == ''
return { 'OK', f.owner, events, calls, windows, more, idle and 1 or 0,
    files and 1 or 0 }
