-- SPDX-License-Identifier: MIT
--
-- Put before every other script here: the names of an agent's keys, and how
-- events are written.
--
-- KEYS[1] is an agent's base, af:{ROOT}:ID; its other keys are the base and a
-- suffix and share its hash tag. KEYS[2], where given, is the zset of leases.
-- A script checks first and writes after, so that a refusal leaves nothing
-- half done.

local base = KEYS[1]

local function key(part)
	return base .. ':' .. part
end

-- The segment that the history grows in.
local function segment_key(segment)
	return string.match(base, '^(.*):[^:]*$') .. ':seg:' .. segment
end

-- The id of the newest event, '0-0' before the first.
local function last_event_id()
	local newest = redis.call('XREVRANGE', key('events'), '+', '-',
	    'COUNT', 1)
	return newest[1] and newest[1][1] or '0-0'
end

-- Writes one event, in the form that src/store/event.c writes too.
local function emit(out, keep, id, channel, kind, turn, step, now, rest)
	local json = '{"channel":"' .. channel .. '","kind":"' .. kind ..
	    '","id":"' .. id .. '","turn":"' .. turn .. '","step":' .. step ..
	    ',"time":' .. now .. rest .. '}'
	redis.call('XADD', key('events'), 'MAXLEN', '~', keep, id, 'e', json)
	out[#out + 1] = json
end

-- Tells the viewers in other processes. prev is the id of the event before
-- the first of these, so that they notice what they missed.
local function publish(prev, events)
	redis.call('PUBLISH', key('live'),
	    prev .. '\n' .. table.concat(events, '\n'))
end

-- Takes the oldest message from the inbox into the history and begins its
-- turn: events EPOCH-seq and the one after. Returns the message.
local function begin(out, keep, epoch, seq, now)
	local doc = redis.call('LPOP', key('inbox'))
	local message, turn, content = string.match(doc,
	    '^{"id":"([^"]+)","turn":"([^"]+)",.-"content":(.*)}$')
	local info = key('info')
	redis.call('RPUSH', segment_key(redis.call('HGET', info, 'tail')), doc)
	redis.call('HSET', info, 'turn', turn, 'message', message, 'step', 1,
	    'state', 'PRE_MODEL', 'resumes', 0, 'interrupt', '')
	emit(out, keep, epoch .. '-' .. seq, 'progress', 'message_accepted',
	    turn, 0, now, ',"messageId":"' .. message .. '","content":' ..
	    content)
	emit(out, keep, epoch .. '-' .. (seq + 1), 'progress', 'turn_start',
	    turn, 0, now, '')
	return doc
end

-- Gives the lease to holder: a new epoch. The value is EPOCH:UUID:HOLDER.
local function lease_take(holder, ms, now)
	local epoch = redis.call('HINCRBY', key('info'), 'epoch', 1)
	redis.call('SET', key('lease'), epoch .. ':' .. holder, 'PX', ms)
	redis.call('ZADD', KEYS[2], now + ms, base)
	return epoch
end

-- What whoever runs a turn has to know of the agent.
local function facts()
	local f = redis.call('HMGET', key('info'), 'owner', 'version', 'tail',
	    'turn', 'step', 'resumes', 'interrupt', 'state')
	f[9] = redis.call('LLEN', segment_key(f[3]))
	return f
end

-- Resumes the turn that was cut short: events EPOCH-0 and EPOCH-1. A viewer
-- drops the partial text of the step.
local function resume(out, keep, epoch, now)
	local info = key('info')
	local f = redis.call('HMGET', info, 'turn', 'step', 'state')
	redis.call('HINCRBY', info, 'resumes', 1)
	emit(out, keep, epoch .. '-0', 'monitor', 'agent_resumed', f[1], f[2],
	    now, ',"state":"' .. f[3] .. '"')
	emit(out, keep, epoch .. '-1', 'progress', 'stream_reset', f[1], f[2],
	    now, '')
end

-- With the lease just taken: resumes the turn there is, or begins the next.
local function start(holder, ms, keep, now, prev)
	local epoch = lease_take(holder, ms, now)
	local out = {}
	local doc = ''
	if redis.call('HGET', key('info'), 'turn') ~= '' then
		resume(out, keep, epoch, now)
	else
		doc = begin(out, keep, epoch, 0, now)
	end
	publish(prev, out)
	return { doc == '' and 'RESUME' or 'BEGIN', epoch, prev, facts(), doc,
	    out }
end
