-- SPDX-License-Identifier: MIT
--
-- What scripts here have in common: the names of an agent's keys, and how
-- events are written. Each gets what it needs of it: see embed.awk.
--
-- KEYS[1] is an agent's base, af:{ROOT}:ID; its other keys are the base and a
-- suffix and share its hash tag. KEYS[2], where given, is the zset of leases.
-- A script checks first and writes after, so that a refusal leaves nothing
-- half done.

local base = KEYS[1]

local function key(part)
	return base .. ':' .. part
end

-- A segment: messages that several agents' histories may have in common.
local function segment_key(segment)
	return string.match(base, '^(.*):[^:]*$') .. ':seg:' .. segment
end

-- This agent refers to a segment no more. The last one that does takes it along.
local function leave_segment(segment)
	local refs = segment_key(segment) .. ':refs'
	redis.call('SREM', refs, base)
	if redis.call('SCARD', refs) == 0 then
		redis.call('UNLINK', segment_key(segment))
	end
end

-- Removes all keys that an agent may have of its own; turn is the one that it
-- is at, or ''.
local function drop_parts(turn)
	for _, part in ipairs({ 'info', 'segments', 'events', 'inbox', 'tools',
	    'calls', 'approvals', 'checkpoints', 'labels', 'windows', 'held',
	    'children', 'reminders', 'lease', 'spent', 'files', 'told',
	    'working', 'import', 'purse:' .. turn }) do
		redis.call('DEL', key(part))
	end
end

-- The id of an event. Lua itself writes a number by way of a double, which
-- takes longer than all the rest.
local function event_id(epoch, seq)
	return string.format('%s-%d', epoch, seq)
end

-- The id of the newest event, '0-0' before the first.
local function last_event_id()
	local newest = redis.call('XREVRANGE', key('events'), '+', '-',
	    'COUNT', 1)
	return newest[1] and newest[1][1] or '0-0'
end

-- The same for an agent without a turn: the turn before left it in "last", and
-- whoever wrote since did so under a later epoch.
local function last_event_id_of(f)
	local prefix = f.epoch .. '-'
	if f.turn == '' and string.sub(f.last, 1, #prefix) == prefix then
		return f.last
	end
--+ needs
	return last_event_id()
--+ end
end

-- The ms of Redis's own clock, in which all hosts agree.
local function clock_ms()
	local clock = redis.call('TIME')
	return clock[1] * 1000 + math.floor(clock[2] / 1000)
end

-- What the zsets that count turns begin with; nil where no limit wants them.
-- They hold the agents whose turns run or wait for room, of a user and of a
-- tenant, by the time until which they count unless that is renewed: so what
-- a dead worker ran counts no more.
local turns

-- The zsets in which this agent's turn is counted: its owner's, and the
-- tenant's if there is one. That of a sub-agent is its maker's. f is what was
-- read of it, if it was.
local function turn_zsets(f)
	local owner, tenant, task
	if f then
		owner, tenant, task = f.owner, f.tenant, f.task
	else
		owner, tenant, task = unpack(redis.call('HMGET', key('info'),
		    'owner', 'tenant', 'task'))
	end
	if not owner or (task or '') ~= '' then
		return {}
	end
	local zsets = { turns .. ':user:' .. owner }
	if (tenant or '') ~= '' then
		zsets[2] = turns .. ':tenant:' .. tenant
	end
	return zsets
end

-- What scripts that give leases are told of budgets: "PREFIX DAY MONTH", of the
-- keys of what users and tenants have used; '' if there are no budgets.
local budgets

-- A name as part of a key, as store_user_part() writes it.
local function key_part(name)
	return (string.gsub(name, '[^%w._@-]', function(c)
		return string.format('%%%02X', string.byte(c))
	end))
end

-- What all keys begin with.
local function key_prefix()
	return string.match(base, '^(.*){[^{}]*}:[^:]*$')
end

-- Tells those who show a user's sessions, as docs/design.md has it.
local function tell_sessions(owner, doc)
	redis.call('PUBLISH', key_prefix() .. 'user:' .. key_part(owner) ..
	    ':sessions', doc)
end

-- What a session's state has become, and why.
local function tell_status(f, reason)
	tell_sessions(f.owner, '{"type":"status","agent":"' ..
	    string.match(base, '[^:]*$') .. '","loaded":' ..
	    tostring(f.loaded ~= '') .. ',"environment":' ..
	    tostring(f.env ~= '') .. ',"reason":"' .. reason .. '"}')
end

-- What only a session has of it; most agents are none. Until it is read, loaded
-- is nil.
local function read_session(f)
	if not f.loaded then
		local v = redis.call('HMGET', key('info'), 'loaded', 'env')
		f.loaded, f.env = v[1] or '', v[2] or ''
	end
end

-- A session is loaded, if it is not yet: then true.
local function load_session(f, now)
	read_session(f)
	if f.loaded ~= '' then
		return false
	end
	f.loaded, f.env = '1', ''
	redis.call('HSET', key('info'), 'loaded', '1', 'env', '')
	redis.call('ZADD', key_prefix() .. 'loaded', now, base)
	tell_status(f, 'load')
	tell_sessions(f.owner, '{"type":"list"}')
	return true
end

-- Somebody says something to a session: that loads it, and it has an
-- environment from then on.
local function wake_session(f, now)
	load_session(f, now)
	f.env = f.env == '' and now or f.env
	redis.call('HSET', key('info'), 'updated', now, 'env', f.env)
	redis.call('ZADD', key_prefix() .. 'loaded', now, base)
end

-- The blob of a file that is saved, as the hash files has it; or nil.
local function blob_of(record)
	return string.match(record, '^%d+ %d+ (%x+) ')
end

local function blob_key(blob)
	return string.match(base, '^(.*):[^:]*$') .. ':blob:' .. blob
end

-- This agent has one file more of that content.
local function blob_take(record, content)
	local blob = blob_key(blob_of(record))
	redis.call('HINCRBY', blob .. ':refs', base, 1)
	if redis.call('EXISTS', blob) == 0 then
		redis.call('SET', blob, content)
	end
end

-- And one less: the last file of the last agent takes it along.
local function blob_drop(record)
	if record == '' then
		return
	end
	local blob = blob_key(blob_of(record))
	if redis.call('HINCRBY', blob .. ':refs', base, -1) <= 0 then
		redis.call('HDEL', blob .. ':refs', base)
	end
	if redis.call('EXISTS', blob .. ':refs') == 0 then
		redis.call('DEL', blob)
	end
end

-- Something may have changed files of the agent whose base is at, or is about
-- to: if it is a session they are looked at when that is due. True if it is.
local function files_touched(at, due)
	if (redis.call('HGET', at .. ':info', 'session') or '') == '' then
		return false
	end
	redis.call('HINCRBY', at .. ':info', 'touched', 1)
	redis.call('ZADD', key_prefix() .. 'unsynced', 'NX', due, at)
	return true
end

-- Whether a call works on the agent's files, and will tell what it changes.
local function files_in_work()
	local now = clock_ms()
	for _, until_ms in ipairs(redis.call('HVALS', key('working'))) do
		if tonumber(until_ms) > now then
			return true
		end
	end
	return false
end

-- What was spent in each scope of budgets: the day, then tokens and cost of the
-- turn and its sub-agents, the agent, the user's day and month, the tenant's;
-- then, for each of these, below how much of the turn's it does not count.
local function spent_of(f, turn)
	local prefix, day, month = string.match(budgets, '^(.*) (%S+) (%S+)$')
	local purse = f.task ~= '' and string.match(f.purse, '^%S+ %S+ (.+)$')
	local hashes = { purse or key('purse:' .. turn), key('spent') }
	for _, owner in ipairs({ 'user:' .. key_part(f.owner),
	    f.tenant ~= '' and 'tenant:' .. key_part(f.tenant) or nil }) do
		hashes[#hashes + 1] = prefix .. owner .. ':usage:' .. day
		hashes[#hashes + 1] = prefix .. owner .. ':usage:' .. month
	end
	local out = { day }
	for _, hash in ipairs(hashes) do
		local v = redis.call('HMGET', hash, 'tokens', 'cost')
		out[#out + 1] = v[1] or '0'
		out[#out + 1] = v[2] or '0'
	end
	for i = #out + 1, 13 do
		out[i] = '0'
	end
	for i, v in ipairs(redis.call('HMGET', hashes[1], 0, 1, 2, 3, 4, 5, 6, 7,
	    8, 9, 10, 11)) do
		out[13 + i] = v or '0'
	end
	return out
end

local function count_turn(ms, f)
	if not turns then
		return
	end
--+ needs
	local now = clock_ms()
	for _, zset in ipairs(turn_zsets(f)) do
		redis.call('ZADD', zset, now + ms, base)
		redis.call('ZREMRANGEBYSCORE', zset, '-inf', '(' .. now)
		if redis.call('PTTL', zset) < tonumber(ms) then
			redis.call('PEXPIRE', zset, ms)
		end
	end
--+ end
end

local function uncount_turn()
	if not turns then
		return
	end
--+ needs
	for _, zset in ipairs(turn_zsets()) do
		redis.call('ZREM', zset, base)
	end
--+ end
end

-- Puts one event behind out, in the form that src/store/event.c writes too;
-- write_events() writes them.
local function emit(out, id, channel, kind, turn, step, now, rest)
	out[#out + 1] = '{"channel":"' .. channel .. '","kind":"' .. kind ..
	    '","id":"' .. id .. '","turn":"' .. turn .. '","step":' .. step ..
	    ',"time":' .. now .. rest .. '}'
	out.ids = out.ids or {}
	out.ids[#out] = id
end

-- What was emitted into the log. Events that are written together are one
-- entry, or as few as can be: a field "e" each, under the id of the newest.
local function write_events(out, keep)
	local at = 1
	while at <= #out do
		local last = math.min(#out, at + 999) -- as unpack has a bound
		local fields = {}
		for i = at, last do
			fields[#fields + 1] = 'e'
			fields[#fields + 1] = out[i]
		end
		redis.call('XADD', key('events'), 'MAXLEN', '~', keep,
		    out.ids[last], unpack(fields))
		at = last + 1
	end
end

-- The events of entries, one behind the other.
local function events_of(entries)
	local all = {}
	for _, entry in ipairs(entries) do
		for i = 2, #entry[2], 2 do
			all[#all + 1] = entry[2][i]
		end
	end
	return all
end

-- Tells the viewers in other processes. prev is the id of the event before
-- the first of these, so that they notice what they missed.
local function publish(prev, events)
	redis.call('PUBLISH', key('live'),
	    prev .. '\n' .. table.concat(events, '\n'))
end

-- The message, turn and content of a document of the inbox.
local function parts(doc)
	return string.match(doc,
	    '^{"id":"([^"]+)","turn":"([^"]+)",.-"content":(.*)}$')
end

-- The same document for another turn.
local function with_turn(doc, turn)
	return (string.gsub(doc, '^({"id":"[^"]+","turn":")[^"]+', '%1' .. turn))
end

-- Events of an agent that nobody holds, under an epoch of their own.
local function emit_alone(f, keep, now, events)
	local prev, out = last_event_id(), {}
	local epoch = string.format('%d', f.epoch + 1)
	redis.call('HSET', key('info'), 'epoch', epoch)
	for i, e in ipairs(events) do
		emit(out, event_id(epoch, i - 1), e.channel, e.kind, e.turn,
		    e.step, now, e.rest)
	end
	write_events(out, keep)
	publish(prev, out)
end

-- The reminders that wait, for a turn, out of their list.
local function pop_reminders(turn)
	local docs = redis.call('LRANGE', key('reminders'), 0, -1)
	for i, doc in ipairs(docs) do
		docs[i] = with_turn(doc, turn)
	end
	redis.call('DEL', key('reminders'))
	redis.call('HSET', key('info'), 'reminders', '')
	return docs
end

-- Puts messages that were taken out of the inbox, and the reminders before
-- them, into the history of their turn, with an event each from EPOCH-seq on.
-- Returns the length of the segment, the sequence number behind, all
-- documents, and the message of the first.
local function accept_all(out, epoch, seq, now, f, docs, turn)
	local all, length, first = {}, 0, nil
	if f.reminders ~= '' then
--+ needs
		all = pop_reminders(turn)
--+ end
	end
	local reminders = #all
	for _, doc in ipairs(docs) do
		all[#all + 1] = doc
	end
	for i, doc in ipairs(all) do
		local message, _, content = parts(doc)
		local is_reminder = i <= reminders
		length = redis.call('RPUSH', segment_key(f.tail), doc)
		emit(out, event_id(epoch, seq),
		    is_reminder and 'monitor' or 'progress',
		    is_reminder and 'reminder_sent' or 'message_accepted', turn,
		    '0', now, ',"messageId":"' .. message .. '","content":' ..
		    content)
		first = first or not is_reminder and message
		seq = seq + 1
	end
	return length, seq, all, first
end

-- The history is the concatenation of segments. All but the last are fixed,
-- and have "before" messages; the last, "tail", is the agent's own and grows.
local function history_length(before, tail)
	return tonumber(before or 0) + redis.call('LLEN', segment_key(tail))
end

-- Begins the turn of messages that are in no inbox any more: they go into the
-- history, and events EPOCH-seq and behind into the log. Returns the length
-- of the history, the turn, and all that is new in the history.
local function begin(out, epoch, seq, now, f, docs)
	local _, turn = parts(docs[1])
	if f.session ~= '' then
--+ needs
		read_session(f)
		if f.env == '' then -- it was unloaded since
			wake_session(f, now)
		end
--+ end
	end
	local length, behind, all, message =
	    accept_all(out, epoch, seq, now, f, docs, turn)
	length = length + f.before
	redis.call('HSET', key('info'), 'turn', turn, 'message', message,
	    'step', '1', 'state', 'PRE_MODEL', 'resumes', '0', 'interrupt', '',
	    'calls', '', 'tokens', '0', 'epoch', epoch, 'safe', length - #all,
	    'began', now, 'first', event_id(epoch, seq))
	emit(out, event_id(epoch, behind), 'progress', 'turn_start', turn, '0', now,
	    '')
	return length, turn, all
end

-- The messages of the inbox that are for the turn that runs.
local function find_steering(turn)
	local found = {}
	for _, doc in ipairs(redis.call('LRANGE', key('inbox'), 0, -1)) do
		local _, its = parts(doc)
		if its == turn then
			found[#found + 1] = doc
		end
	end
	return found
end

-- The messages of the turn that comes next, out of the inbox; nil if none
-- waits. One that was for the turn that is over (finished) gets a turn of its
-- own.
local function pop_next(finished)
	local docs, next_turn = {}, nil
	while true do
		local doc = redis.call('LINDEX', key('inbox'), 0)
		if not doc then
			break
		end
		local message, turn = parts(doc)
		if turn == finished then
			turn = 'trn_' .. string.sub(message, 5)
		end
		if next_turn and turn ~= next_turn then
			break
		end
		next_turn = turn
		redis.call('LPOP', key('inbox'))
		docs[#docs + 1] = with_turn(doc, turn)
	end
	return docs[1] and docs
end

-- Resumes the turn that was cut short: event EPOCH-0, and EPOCH-1 if the model
-- is called again: a viewer drops the partial text of the step.
local function resume(out, epoch, now, f)
	redis.call('HSET', key('info'), 'epoch', epoch)
	redis.call('HINCRBY', key('info'), 'resumes', 1)
	emit(out, epoch .. '-0', 'monitor', 'agent_resumed', f.turn, f.step,
	    now, ',"state":"' .. f.state .. '"')
	if f.calls == '' and f.state ~= 'REPORTING' then
		emit(out, epoch .. '-1', 'progress', 'stream_reset', f.turn,
		    f.step, now, '')
	end
	return history_length(f.before, f.tail), f.turn
end

-- The turn waited for a human, without a lease; it goes on.
local function unpark(out, epoch, now, f)
	local state = f.calls == '' and 'PRE_MODEL' or 'PRE_TOOL'
	redis.call('HSET', key('info'), 'epoch', epoch, 'state', state)
	emit(out, epoch .. '-0', 'monitor', 'state_change', f.turn, f.step,
	    now, ',"state":"' .. state .. '"')
	return history_length(f.before, f.tail), f.turn
end

-- What scripts read of an agent; owner is false if there is none.
local function agent_read()
	local v = redis.call('HMGET', key('info'), 'owner', 'version', 'tail',
	    'turn', 'step', 'resumes', 'interrupt', 'state', 'epoch', 'calls',
	    'todos', 'tokens', 'before', 'safe', 'context',
	    'depth', 'task', 'lineage', 'reminders', 'last', 'tenant',
	    'purse', 'question', 'session')
	return { owner = v[1], version = v[2], tail = v[3], turn = v[4],
	    step = v[5] or 1, resumes = v[6] or 0, interrupt = v[7],
	    state = v[8] or '', epoch = v[9] or '0', calls = v[10] or '',
	    todos = v[11] or '', tokens = tonumber(v[12] or 0),
	    before = tonumber(v[13] or 0), safe = tonumber(v[14] or 0),
	    context = v[15] or '', depth = tonumber(v[16] or 0),
	    task = v[17] or '', lineage = v[18] or '',
	    reminders = v[19] or '', last = v[20] or '',
	    tenant = v[21] or '', purse = v[22] or '',
	    question = v[23] or '', session = v[24] or '' }
end

-- A turn that waits for a human or a sub-agent: nobody holds the agent, and
-- nobody needs to.
local function is_parked(f, held)
	return not held and string.sub(f.state, 1, 8) == 'AWAITING'
end

-- References to the history up to where it is safe to go on from: its end, or
-- the place before the turn that runs. And how many messages that is.
local function safe_references(f)
	local fixed = redis.call('LRANGE', key('segments'), 0, -2)
	local length = f.turn == '' and history_length(f.before, f.tail) or
	    math.max(f.safe, f.before)
	if length > f.before then
		fixed[#fixed + 1] = f.tail .. ':' .. (length - f.before)
	end
	return fixed, length
end

-- What stands for a question in approvals until it is answered: of a human
-- about a call, of a sub-agent, of who has the budget role.
local OPEN = { [''] = true, T = true, B = true }

-- What was decided of a question, '' nothing.
local function answer_of(id)
	local decided = redis.call('HGET', key('approvals'), id)
	return decided and not OPEN[decided] and decided or ''
end

-- The records of the tool calls of the step that was cut short, and what was
-- decided of each ('' nothing).
local function call_records(f)
	local ids = {}
	for id in string.gmatch(f.calls, '%S+') do
		ids[#ids + 1] = id
	end
	if #ids == 0 then
		return {}, {}
	end
	local decided = redis.call('HMGET', key('approvals'), unpack(ids))
	for i = 1, #ids do
		if not decided[i] or OPEN[decided[i]] then
			decided[i] = ''
		end
	end
	return redis.call('HMGET', key('tools'), unpack(ids)), decided
end

-- What was decided and not applied yet: call id and JSON, by turns.
local function decisions()
	local all, out = redis.call('HGETALL', key('approvals')), {}
	for i = 1, #all, 2 do
		if not OPEN[all[i + 1]] then
			out[#out + 1] = all[i]
			out[#out + 1] = all[i + 1]
		end
	end
	return out
end

-- A user's place in the queue is ROUND times his round, and a number that
-- grows, so that of one round the first comes first.
local ROUND = 67108864

-- Takes the agent, of this user, out of the queue of those that wait for room.
local function leave_queue(queue, user)
	local own = queue .. ':user:' .. user
	redis.call('ZREM', queue, base)
	redis.call('ZREM', own, base)
	if redis.call('EXISTS', own) == 0 then
		redis.call('ZREM', queue .. ':users', user)
	end
end

-- The answer to whoever was given the lease. known is what it has seen of
-- the agent: if the version is another, prompt and model come along, and of
-- the history what is new, unless that is much. docs are the last of it, if
-- the caller has them.
local function started(word, epoch, prev, f, turn, length, last, out, known)
	local more, docs = {}, {}
	if known.version ~= f.version then
		more = redis.call('HMGET', key('info'), 'prompt', 'model',
		    'template', 'tools', 'permission', 'workspace', 'name')
		for i = 1, 7 do
			more[i] = more[i] or ''
		end
	end
	-- Another version may be another history: it has seen nothing of it.
	local seen = known.version == f.version and known.messages or 0
	local new = length - seen
	if new > 0 and last and new == #last then
		docs = last
	elseif new > 0 and new <= math.min(8, length - f.before) then
		docs = redis.call('LRANGE', segment_key(f.tail), -new, -1)
	end
	local records, decided, spent, answer = {}, {}, {}, ''
	if f.calls ~= '' or f.question ~= '' then
--+ needs
		records, decided = call_records(f)
		answer = f.question ~= '' and
		    answer_of(string.match(f.question, '^%S+')) or ''
--+ end
	end
	if (budgets or '') ~= '' then
--+ needs
		spent = spent_of(f, turn)
--+ end
	end
	return { word, tonumber(epoch), prev, f.owner, f.version, f.tail, turn,
	    tonumber(f.step), tonumber(f.resumes), f.interrupt, length, docs,
	    out, more, f.todos, records, decided, f.tokens,
	    f.context, f.depth, f.task, f.state, f.calls,
	    f.lineage, f.tenant, f.purse, spent, f.question, answer }
end

-- The answer to a call that gave holder the lease already, and whose answer was
-- lost; nil if somebody else has it, or nobody.
local function started_before(f, held, holder, word, prev, known)
	if held ~= f.epoch .. ':' .. holder then
		return nil
	end
	local events = events_of(redis.call('XRANGE', key('events'),
	    f.epoch .. '-0', f.epoch))
	return started(word, f.epoch, prev, f, f.turn,
	    history_length(f.before, f.tail), nil, events, known)
end

-- Gives the lease to holder, under a new epoch, and resumes the turn there
-- is or begins that of docs. The value of a lease is EPOCH:UUID:HOLDER.
local function start(f, holder, ms, keep, now, prev, docs, known)
	local epoch = string.format('%d', f.epoch + 1)
	local out = {}
	local word, length, turn = 'BEGIN'
	redis.call('SET', key('lease'), epoch .. ':' .. holder, 'PX', ms)
	redis.call('ZADD', KEYS[2], now + ms, base)
	count_turn(ms, f)
	if f.turn ~= '' then
--+ needs
		word = 'RESUME'
		docs = nil
		local go_on = is_parked(f, false) and unpark or resume
		length, turn = go_on(out, epoch, now, f)
--+ end
	else
		f.step, f.resumes, f.interrupt, f.calls = 1, 0, '', ''
		f.tokens = 0
		length, turn, docs =
		    begin(out, epoch, 0, now, f, docs)
	end
	write_events(out, keep)
	publish(prev, out)
	return started(word, epoch, prev, f, turn, length, docs, out, known)
end
