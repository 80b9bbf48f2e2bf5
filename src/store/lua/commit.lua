-- commit: the only way a turn writes. Events, and what goes with them, under
-- the lease; all or nothing, and harmless when repeated.
--
-- ARGV: lease value, id before the first event, keep, now ms, number of
-- events, then id and JSON of each, then operations, each a letter and its
-- arguments:
--   S FIELD VALUE   sets a field of info
--   M SEGMENT DOC   appends a message to the history
--   C ID DOC        the first record of a tool call
--   T ID DOC        a later one
--   A ID            asks a human whether a tool call may run
--   D ID            it was decided, and the decision is applied
--   F               the turn is over: begins the next one, or drops the lease
--   P DEADLINE      drops the lease until something is decided, or a time
--
-- Returns OK | FENCED | IDLE (after F) | NEXT doc events (after F) | PARKED
-- (after P) | DECIDED interrupted id decision ... (after P: it need not wait).

local events, info = key('events'), key('info')
local n = tonumber(ARGV[5])
local first, last = ARGV[6], ARGV[4 + 2 * n]

local function is_final()
	return ARGV[#ARGV] == 'F' or ARGV[#ARGV - 1] == 'P'
end

-- After P: what was decided since the turn looked last, or that somebody
-- wants it stopped; nil if there is nothing.
local function why_not_park()
	local turn, interrupt =
	    unpack(redis.call('HMGET', info, 'turn', 'interrupt'))
	local found = decisions()
	local stop = turn == interrupt
	if #found == 0 and not stop then
		return nil
	end
	return { 'DECIDED', stop and 1 or 0, unpack(found) }
end

-- The answer to a commit that was applied before its connection broke.
local function repeated(held)
	if not is_final() then
		return { 'OK' }
	end
	if held ~= ARGV[1] then
		return { ARGV[#ARGV] == 'F' and 'IDLE' or 'PARKED' }
	end
	if ARGV[#ARGV] ~= 'F' then
		return why_not_park() or { 'DECIDED', 0 }
	end
	local out = {}
	for _, e in ipairs(redis.call('XRANGE', events, '(' .. last, '+')) do
		out[#out + 1] = e[2][2]
	end
	return { 'NEXT', redis.call('LINDEX',
	    segment_key(redis.call('HGET', info, 'tail')), -1), out }
end

local held = redis.call('GET', key('lease'))
if held ~= ARGV[1] then
	if redis.call('XRANGE', events, first, first)[1] then
		return repeated(held)
	end
	return { 'FENCED' }
end

local out = {}
for i = 1, n do
	local id, json = ARGV[4 + 2 * i], ARGV[5 + 2 * i]
	local rc = redis.pcall('XADD', events, 'MAXLEN', '~', ARGV[3], id, 'e',
	    json)
	if type(rc) == 'table' and rc.err then
		if i == 1 and string.find(rc.err, 'equal or smaller') then
			return repeated(held)
		end
		return rc
	end
	out[i] = json
end

local result = { 'OK' }
local i = 6 + 2 * n
while i <= #ARGV do
	local op = ARGV[i]
	if op == 'S' then
		redis.call('HSET', info, ARGV[i + 1], ARGV[i + 2])
		i = i + 3
	elseif op == 'M' then
		redis.call('RPUSH', segment_key(ARGV[i + 1]), ARGV[i + 2])
		i = i + 3
	elseif op == 'C' or op == 'T' then
		redis.call('HSET', key('tools'), ARGV[i + 1], ARGV[i + 2])
		if op == 'C' then
			redis.call('RPUSH', key('calls'), ARGV[i + 1])
		end
		i = i + 3
	elseif op == 'A' then
		redis.call('HSETNX', key('approvals'), ARGV[i + 1], '')
		i = i + 2
	elseif op == 'D' then
		redis.call('HDEL', key('approvals'), ARGV[i + 1])
		i = i + 2
	elseif op == 'P' then
		result = why_not_park()
		if not result then
			redis.call('HSET', info, 'state', 'AWAITING_APPROVAL',
			    'updated', ARGV[4])
			redis.call('DEL', key('lease'))
			redis.call('ZADD', KEYS[2], ARGV[i + 1], base)
			result = { 'PARKED' }
		end
		i = i + 2
	else
		redis.call('HSET', info, 'turn', '', 'state', 'READY',
		    'interrupt', '', 'updated', ARGV[4])
		local doc = redis.call('LPOP', key('inbox'))
		if doc then
			local epoch, seq = string.match(last, '^(%d+)-(%d+)$')
			local new = {}
			begin(new, ARGV[3], epoch, seq + 1, ARGV[4],
			    redis.call('HGET', info, 'tail'), doc)
			for _, json in ipairs(new) do
				out[#out + 1] = json
			end
			result = { 'NEXT', doc, new }
		else
			redis.call('DEL', key('lease'))
			redis.call('ZREM', KEYS[2], base)
			result = { 'IDLE' }
		end
		i = i + 1
	end
end
publish(ARGV[2], out)
return result
