-- SPDX-License-Identifier: MIT
-- import: a batch of what an agent is made of. An attempt to take one in has a
-- name and numbers its batches from 0 on; each is carried out once. One that is
-- sent again as its answer was lost, or that comes late, changes nothing. What
-- tells is the hash "import", which outlives the last batch by an hour.
--
-- ARGV: attempt, number, whose agent it is, then commands: how many words, and
-- the words of each:
--   M SEGMENT AT DOC  the message at a place, from 0 on, of a segment
--   H SEGMENT N       refers to the segment, which has N messages by now
--   I TAIL N OTHER FIELD VALUE ...
--                     info, with the last batch: the agent is there. Its tail has
--                     N messages; if another agent has brought more of it, OTHER
--                     is the tail, a copy of so many
-- and whatever else is a command of Redis. Batch 0 removes what another attempt
-- has left.
--
-- Of a segment that other agents have as well, what is there is not written
-- again: it must be the same. As segments are only appended to, the id of each
-- message says that.
--
-- Returns OK | THERE | OTHER (another attempt has begun since) | DIFFERS
-- segment | SHORT segment (messages of it are not there).
local HOUR = 3600
local number = tonumber(ARGV[2])
local attempt, batch =
    unpack(redis.call('HMGET', key('import'), 'attempt', 'batch'))
batch = tonumber(batch or -1)
if attempt == ARGV[1] and number <= batch then
	return { 'OK' }
end
if number == 0 then
	if redis.call('EXISTS', key('info')) == 1 then
		return { 'THERE' }
	end
	for _, segment in ipairs(redis.call('SMEMBERS', key('held'))) do
		leave_segment(segment)
	end
	drop_parts('')
elseif attempt ~= ARGV[1] or number ~= batch + 1 then
	return { 'OTHER' }
end

local function refer(segment)
	redis.call('SADD', segment_key(segment) .. ':refs', base)
	redis.call('SADD', key('held'), segment)
end

-- What tells a message from others.
local function name_of(doc)
	return string.match(doc, '^{"id":"([^"]+)"') or doc
end

-- Each returns why it could not be done, if so.
local commands = {}

function commands.M(_, segment, at, doc)
	local list = segment_key(segment)
	at = tonumber(at)
	if at == 0 then
		if redis.call('EXISTS', list .. ':refs') == 0 then
			redis.call('DEL', list) -- nobody's
		end
		refer(segment)
	end
	local length = redis.call('LLEN', list)
	if at == length then
		redis.call('RPUSH', list, doc)
	elseif at > length then
		return { 'SHORT', segment }
	elseif name_of(redis.call('LINDEX', list, at)) ~= name_of(doc) then
		return { 'DIFFERS', segment }
	end
end

function commands.H(_, segment, n)
	refer(segment)
	return redis.call('LLEN', segment_key(segment)) < tonumber(n) and
	    { 'SHORT', segment }
end

function commands.I(_, tail, n, other, ...)
	n = tonumber(n)
	local length = redis.call('LLEN', segment_key(tail))
	if length < n then
		return { 'SHORT', tail }
	end
	redis.call('HSET', key('info'), ...)
	if length > n then
		if n > 0 then
			redis.call('COPY', segment_key(tail), segment_key(other))
			redis.call('LTRIM', segment_key(other), 0, n - 1)
		end
		refer(other)
		redis.call('LSET', key('segments'), -1, other .. ':*')
		redis.call('HSET', key('info'), 'tail', other)
	end
	redis.call('EXPIRE', key('import'), HOUR)
end

redis.call('HSET', key('import'), 'attempt', ARGV[1], 'owner', ARGV[3])
local at = 4
while at <= #ARGV do
	local behind = at + 1 + ARGV[at]
	local command = commands[ARGV[at + 1]] or redis.call
	local refused = command(unpack(ARGV, at + 1, behind - 1))
	if command ~= redis.call and refused then
		return refused
	end
	at = behind
end
redis.call('HSET', key('import'), 'batch', ARGV[2])
return { 'OK' }
