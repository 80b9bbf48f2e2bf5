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
--   F               the turn is over: begins the next one, or drops the lease
--
-- Returns OK | FENCED | IDLE (after F) | NEXT doc events (after F).
local events, info = key('events'), key('info')
local n = tonumber(ARGV[5])
local first, last = ARGV[6], ARGV[4 + 2 * n]

local function is_final()
	return ARGV[#ARGV] == 'F'
end

-- The answer to a commit that was applied before its connection broke.
local function repeated(held)
	if not is_final() then
		return { 'OK' }
	end
	if held ~= ARGV[1] then
		return { 'IDLE' }
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
