-- commit: the only way a turn writes. Events, and what goes with them, under
-- the lease; all or nothing, and harmless when repeated.
--
-- KEYS[3] is what counts of turns begin with, if there are any.
--
-- ARGV: lease value, id before the first event, keep, now ms, number of
-- events, then id and JSON of each, then operations, each a letter and its
-- arguments:
--   S FIELD VALUE   sets a field of info
--   M SEGMENT DOC   appends a message to the history
--   C ID DOC        the first record of a tool call
--   T ID DOC        a later one
--   A ID KIND       asks: '' a human about a tool call, T its sub-agent, B who
--                   has the budget role
--   D ID            it was decided, and the decision is applied
--   W SEGMENT SAFE N DOC ...
--                   the history is these documents from here on, and the
--                   turn's begin at SAFE; what it was becomes a window
--   U PERCENT TURN STEP HASHES N FIELD ... NUMBER ... HASH ...
--                   what a call has used, N numbers, added to as many fields of
--                   each hash; the first of all operations. A HASH is KEY
--                   SECONDS (that it is kept, 0 for ever) MODELS (0: only the
--                   first two fields, tokens and cost) and, with PERCENT,
--                   SCOPE RESETS TOKENS COST: the last two are budgets, 0 none.
--                   With PERCENT (0: there are no budgets) of one there is a
--                   warning, before the events; ids are left for them
--   H KEY FIELD VALUE
--                   sets a field of the turn's purse
--   K BASE CALL UNTIL DUE N ETAG =PATH ...
--                   files of that agent's workspace may change by the call,
--                   which has surely ended at UNTIL, 0: it has; they are looked
--                   at when that is due. Of N files clients were told these
--                   versions ('' gone), if it is a session
--   X KEY           forgets a hash, unless the turn goes on after F
--   I               messages that are for this turn go into its history, and
--                   the reminders
--   F HOW           the turn is over, its last event says so: begins the next
--                   one, or drops the lease. HOW 1: if messages are for this
--                   turn it goes on with them instead, without that event
--   P DEADLINE      drops the lease until something is decided, or a time;
--                   the state that was set is AWAITING_...
--
-- With budgets all but FENCED is the first of a list; then come what was spent,
-- tokens and cost of each HASH, and the warnings.
-- Returns OK | FENCED | IDLE (after F) | NEXT docs events (after F) | STEERED
-- docs events (after I and F) | PARKED (after P) | DECIDED interrupted id
-- decision ... (after P: it need not wait).
local n = tonumber(ARGV[5])

-- The first so many events into the log, behind what else is given: as few
-- entries as can be, each under the id of its newest event. Redis refuses what
-- was written before: then the error, and nothing is written.
local function add_events(count, others)
	local at, fields = 1, {}
	for _, json in ipairs(others or fields) do
		fields[#fields + 1] = 'e'
		fields[#fields + 1] = json
	end
	while at <= count or fields[1] do
		local last = math.min(count, at + 999) -- as unpack has a bound
		for i = at, last do
			fields[#fields + 1] = 'e'
			fields[#fields + 1] = ARGV[5 + 2 * i]
		end
		local rc = redis.pcall('XADD', KEYS[1] .. ':events', 'MAXLEN',
		    '~', ARGV[3], last < at and others.ids[#others] or ARGV[4 + 2 * last],
		    unpack(fields))
		if type(rc) == 'table' and rc.err then
			return rc
		end
		at, fields = last + 1, {}
	end
end

-- Their JSON.
local function events_given(out, count)
	for i = 1, count do
		out[#out + 1] = ARGV[5 + 2 * i]
	end
	return out
end

-- Events alone, which is all that most calls bring, need nothing of what
-- follows, not even the making of its functions. If they are refused all goes
-- its ordinary way.
if #ARGV == 5 + 2 * n and redis.call('GET', KEYS[1] .. ':lease') == ARGV[1] and
    not add_events(n) then
	redis.call('PUBLISH', KEYS[1] .. ':live',
	    table.concat(events_given({ ARGV[2] }, n), '\n'))
	return { 'OK' }
end
--+ common
local events, info = key('events'), key('info')
turns = KEYS[3]
local first, last = ARGV[6], ARGV[4 + 2 * n]

-- The operation at the end that has an answer of its own, or ''.
local function final()
	local op = ARGV[#ARGV - 1]
	if op == 'F' or op == 'P' then
		return op
	end
	return ARGV[#ARGV] == 'I' and 'I' or ''
end

-- After P: what was decided since the turn looked last, or that somebody
-- wants it stopped; nil if there is nothing.
local function why_not_park()
	local turn, interrupt =
	    unpack(redis.call('HMGET', info, 'turn', 'interrupt'))
--+ needs
	local found = decisions()
	local stop = turn == interrupt
	if #found == 0 and not stop then
		return nil
	end
	return { 'DECIDED', stop and 1 or 0, unpack(found) }
--+ end
end

-- What U adds to its hashes is reckoned before anything is written. From 2^53 on
-- Lua's numbers are not exact, Redis's are.
local EXACT = 9007199254740992
local usage = 6 + 2 * n
local percent = ARGV[usage] == 'U' and tonumber(ARGV[usage + 1]) or 0
local spent, warnings = {}, {}

-- An event, if so much of a budget is used and there was none before. What says
-- so has the limit, so that with another one there is another event.
local function warn(plan, at, kind, now, warned)
	local limit = tonumber(ARGV[at + 4 + kind])
	if limit == 0 or now * 100 < limit * percent or
	    warned == ARGV[at + 4 + kind] then
		return
	end
--+ needs
	-- Numbers of budgets as JSON; cost is in billionths.
	local function amount(v, kind)
		return kind == 1 and string.format('%.0f', v) or
		    string.format('%d.%09d', math.floor(v / 1e9), v % 1e9)
	end

	local word = kind == 1 and 'tokens' or 'cost'
	local epoch, seq = string.match(first, '^(%d+)-(%d+)$')
	plan[#plan + 1] = 'warned:' .. word
	plan[#plan + 1] = ARGV[at + 4 + kind]
	emit(warnings, event_id(epoch, seq - 12 + #warnings), 'monitor',
	    'budget_warning', ARGV[usage + 2], ARGV[usage + 3], ARGV[4],
	    ',"budget":"budget.' .. ARGV[at + 3] .. '_' .. word ..
	    '","percent":' .. percent .. ',"limit":' .. amount(limit, kind) ..
	    ',"used":' .. amount(now, kind) .. ',"resets":' ..
	    (ARGV[at + 4] == '0' and 'null' or ARGV[at + 4]))
--+ end
end

-- What is to be done with the hash whose words are at a place: key, fields and
-- values that are set, and what is too large for that. The fields are at
-- another, with their numbers behind. again: it was done, only what is to be
-- told is wanted.
local function plan_hash(at, fields, count, again)
	local plan, told = { ARGV[at] }, percent > 0 and 2 or 0
	local numbers = fields + count
	count = ARGV[at + 2] == '0' and 2 or count
	local was = told == 0 and
	    redis.call('HMGET', ARGV[at],
	    unpack(ARGV, fields, fields + count - 1)) or
	    redis.call('HMGET', ARGV[at], 'warned:tokens', 'warned:cost',
	    unpack(ARGV, fields, fields + count - 1))
	plan.seconds = not was[told + 1] and ARGV[at + 1] ~= '0' and ARGV[at + 1]
	for f = 1, count do
		local more = again and 0 or ARGV[numbers + f - 1]
		local now = (was[told + f] or 0) + more
		if now < EXACT then
			plan[#plan + 1] = ARGV[fields + f - 1]
			plan[#plan + 1] = string.format('%.0f', now)
		else
			plan.large = plan.large or {}
			plan.large[ARGV[fields + f - 1]] = more
		end
		if told > 0 and f <= 2 then
			spent[#spent + 1] = string.format('%.0f', now)
			warn(plan, at, f, now, was[f])
		end
	end
	return plan
end

-- The plans of all hashes, and where the words of U end.
local function plan_usage(again)
	local plans, count = {}, tonumber(ARGV[usage + 5])
	local words, fields = percent > 0 and 7 or 3, usage + 6
	local hashes = fields + 2 * count
	local behind = hashes + words * ARGV[usage + 4]
	spent, warnings = {}, {}
	for at = hashes, behind - 1, words do
		plans[#plans + 1] = plan_hash(at, fields, count, again)
	end
	return plans, behind
end

local function count_usage(plans)
	for _, plan in ipairs(plans) do
		if plan[2] then
			redis.call('HSET', unpack(plan))
		end
		for field, more in pairs(plan.large or {}) do
			redis.call('HINCRBY', plan[1], field, more)
		end
		if plan.seconds then
			redis.call('EXPIRE', plan[1], plan.seconds)
		end
	end
end

local function answer(result)
	if percent == 0 or result[1] == 'FENCED' then
		return result
	end
	return { result, spent, warnings }
end

-- The answer to a commit that was applied before its connection broke; what of
-- budgets is told is in the log.
local function answer_again(held)
--+ needs
	-- Events, and the messages that the newest of the history were.
	local function with_docs(word, new)
		local n = 0
		for _, json in ipairs(new) do
			if string.find(json, '"kind":"message_accepted"', 1, true) or
			    string.find(json, '"kind":"reminder_sent"', 1, true) then
				n = n + 1
			end
		end
		local segment = segment_key(redis.call('HGET', info, 'tail'))
		return { word, redis.call('LRANGE', segment, -n, -1), new }
	end

	local function repeated(held)
		local op = final()
		if op == '' then
			return { 'OK' }
		end
		if held ~= ARGV[1] then
			return { op == 'P' and 'PARKED' or op == 'F' and 'IDLE' or
			    'FENCED' }
		end
		if op == 'P' then
			return why_not_park() or { 'DECIDED', 0 }
		end
		if op == 'F' then
			-- Of the entry that ends with done the others are not new.
			local from = redis.call('XRANGE', events, last, '+')
			local ends = from[1][2][#from[1][2]]
			if string.find(ends, '"kind":"done"', 1, true) then
				table.remove(from, 1)
				return with_docs('NEXT', events_of(from))
			end
			return with_docs('STEERED', events_of(from))
		end
		local more = redis.call('XRANGE', events, '(' .. last, '+')
		return more[1] and with_docs('STEERED', events_of(more)) or { 'OK' }
	end

	if percent > 0 then
		plan_usage(true)
		warnings = {}
		for _, json in ipairs(events_of(redis.call('XRANGE', events,
		    '(' .. ARGV[2], last, 'COUNT', 1))) do
			if not string.find(json, '"kind":"budget_warning"', 1,
			    true) then
				break
			end
			warnings[#warnings + 1] = json
		end
	end
	return answer(repeated(held))
--+ end
end

-- Whether the caller's own last event is in the log. Another holder may have
-- the same epoch, when Redis has lost its newest writes, and so the same ids.
local function is_written()
--+ needs
	local entry = redis.call('XRANGE', events, last, last)[1]
	return entry and entry[2][#entry[2]] == ARGV[5 + 2 * n]
--+ end
end

local held = redis.call('GET', key('lease'))
if held ~= ARGV[1] then
	return is_written() and answer_again(held) or { 'FENCED' }
end

local function new_window(segment, safe, at, count)
	local old = redis.call('LRANGE', key('segments'), 0, -2)
	local tail = redis.call('HGET', info, 'tail')
	old[#old + 1] = tail .. ':' .. redis.call('LLEN', segment_key(tail))
	redis.call('RPUSH', key('windows'), table.concat(old, ' '))
	for j = at, at + count - 1 do
		redis.call('RPUSH', segment_key(segment), ARGV[j])
	end
	redis.call('SADD', segment_key(segment) .. ':refs', base)
	redis.call('SADD', key('held'), segment)
	redis.call('DEL', key('segments'))
	redis.call('RPUSH', key('segments'), segment .. ':*')
	redis.call('HSET', info, 'tail', segment, 'before', 0, 'safe', safe)
	redis.call('HINCRBY', info, 'version', 1)
end

-- K, whose words are at a place.
local function note_files(at, count)
--+ needs
	local its = ARGV[at]
	if not files_touched(its, ARGV[at + 3]) then
		return
	end
	if ARGV[at + 2] ~= '0' then
		redis.call('HSET', its .. ':working', ARGV[at + 1], ARGV[at + 2])
	else
		redis.call('HDEL', its .. ':working', ARGV[at + 1])
	end
	for k = at + 5, at + 3 + 2 * count, 2 do
		local path = string.sub(ARGV[k + 1], 2)
		if ARGV[k] == '' then
			redis.call('HDEL', its .. ':told', path)
		else
			redis.call('HSET', its .. ':told', path, ARGV[k])
		end
	end
--+ end
end

-- What somebody wants to say to the turn before it ends.
local op_at_end, steering = final(), {}
local waits, reminded, f = false, false
if op_at_end == 'I' or op_at_end == 'F' then
	waits = redis.call('LLEN', key('inbox')) > 0
end
if op_at_end == 'I' then
	reminded = (redis.call('HGET', info, 'reminders') or '') ~= ''
end
if waits or reminded then
--+ needs
	f = agent_read()
	if op_at_end == 'I' or ARGV[#ARGV] == '1' then
		steering = find_steering(f.turn)
	end
--+ end
end
local steered = #steering > 0 or reminded
local written = n
if steered and op_at_end == 'F' then
	written = n - 1
end

local i, plans = usage, {}
if ARGV[i] == 'U' then
	plans, i = plan_usage()
end
local refused = add_events(written, warnings)
if refused then
	return string.find(refused.err, 'equal or smaller') and
	    answer_again(held) or refused
end
local out = {}
for _, json in ipairs(warnings) do
	out[#out + 1] = json
end
events_given(out, written)
count_usage(plans)

local result, fields = { 'OK' }, {}
while i <= #ARGV do
	local op = ARGV[i]
	if op == 'S' then
		fields[#fields + 1] = ARGV[i + 1]
		fields[#fields + 1] = ARGV[i + 2]
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
	elseif op == 'W' then
		local count = tonumber(ARGV[i + 3])
		new_window(ARGV[i + 1], ARGV[i + 2], i + 4, count)
		i = i + 4 + count
	elseif op == 'A' then
		redis.call('HSETNX', key('approvals'), ARGV[i + 1], ARGV[i + 2])
		i = i + 3
	elseif op == 'H' then
		redis.call('HSET', ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
		i = i + 4
	elseif op == 'K' then
		local count = tonumber(ARGV[i + 5])
		note_files(i + 1, count)
		i = i + 6 + 2 * count
	elseif op == 'X' then
		if not (steered and op_at_end == 'F') then
			redis.call('DEL', ARGV[i + 1])
		end
		i = i + 2
	elseif op == 'D' then
		redis.call('HDEL', key('approvals'), ARGV[i + 1])
		i = i + 2
	elseif op == 'P' then
		result = why_not_park()
		if not result then
			redis.call('HSET', info, 'updated', ARGV[4])
			redis.call('DEL', key('lease'))
			redis.call('ZADD', KEYS[2], ARGV[i + 1], base)
			uncount_turn()
			result = { 'PARKED' }
		end
		i = i + 2
	else
		i = #ARGV + 1
	end
end

if op_at_end == 'F' then
	local last_words = steered and { 'state', 'PRE_MODEL' } or
	    { 'turn', '', 'state', 'READY', 'interrupt', '', 'updated', ARGV[4],
	    'last', last }
	for _, word in ipairs(last_words) do
		fields[#fields + 1] = word
	end
end
if #fields > 0 then
	redis.call('HSET', info, unpack(fields))
end
if op_at_end == 'F' and steered then
	redis.call('HINCRBY', info, 'step', 1)
end

-- What waits goes into the history: it joins the turn, or begins the next one.
-- Nil if nothing does.
local function go_on()
--+ needs
	local epoch, seq = string.match(last, '^(%d+)-(%d+)$')
	local word, docs, new, _, all = 'STEERED', steering, {}
	if steered then
		for _, doc in ipairs(docs) do
			redis.call('LREM', key('inbox'), 1, doc)
		end
		local at = op_at_end == 'F' and seq + 0 or seq + 1
		_, _, all =
		    accept_all(new, epoch, at, ARGV[4], f, docs, f.turn)
	else
		word, docs = 'NEXT', pop_next(f.turn)
		if not docs then
			return nil
		end
		_, _, all = begin(new, epoch, seq + 1, ARGV[4], f, docs)
	end
	write_events(new, ARGV[3])
	for _, json in ipairs(new) do
		out[#out + 1] = json
	end
	return { word, all, new }
--+ end
end

local gone_on = (steered or op_at_end == 'F' and waits) and go_on()
if gone_on then
	result = gone_on
elseif op_at_end == 'F' then
	redis.call('DEL', key('lease'))
	redis.call('ZREM', KEYS[2], base)
	uncount_turn()
	result = { 'IDLE' }
end
publish(ARGV[2], out)
return answer(result)
