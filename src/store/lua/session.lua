-- session: what becomes of an agent that is a session. KEYS[2] is the zset of
-- loaded sessions. ARGV: user ('' whoever it is), what, and for
--   load, unload, end   nothing more
--   look                nothing more: loads it too
--   options             the options, a JSON object
--   expire              now, and the time in ms before which it must have been
--                       active last
-- Returns FORBIDDEN (it is no session of the user's) | OK 1 user, it was done, or
-- OK 0 user, there was nothing to do. Behind that look gives what is so at one
-- moment: since when it has its environment and since when a turn runs, in ms
-- ('' neither), the first event of that turn, and the newest event.
local f = agent_read()
if not f.owner or f.session == '' or (ARGV[1] ~= '' and f.owner ~= ARGV[1]) then
	if ARGV[2] == 'expire' then
		redis.call('ZREM', KEYS[2], base)
	end
	return { 'FORBIDDEN' }
end
read_session(f)

local function unload(reason)
	f.loaded, f.env = '', ''
	redis.call('HSET', key('info'), 'loaded', '', 'env', '')
	redis.call('ZREM', KEYS[2], base)
	tell_status(f, reason)
	tell_sessions(f.owner, '{"type":"list"}')
	return { 'OK', 1, f.owner }
end

local what = {}

function what.load()
	return { 'OK', load_session(f, clock_ms()) and 1 or 0, f.owner }
end

function what.look()
	local out = what.load()
	local began, first = unpack(redis.call('HMGET', key('info'), 'began',
	    'first'))
	local runs = f.turn ~= ''
	out[4], out[5] = f.env, runs and began or ''
	out[6], out[7] = runs and first or '', last_event_id()
	return out
end

function what.unload()
	return f.loaded == '' and { 'OK', 0, f.owner } or unload('manual')
end

what['end'] = function()
	if f.loaded == '' then
		return { 'OK', 0, f.owner }
	end
	if f.env ~= '' then
		f.env = ''
		redis.call('HSET', key('info'), 'env', '')
		tell_status(f, 'manual')
	end
	return { 'OK', 1, f.owner }
end

function what.options()
	load_session(f, clock_ms())
	redis.call('HSET', key('info'), 'options', ARGV[3])
	redis.call('HINCRBY', key('info'), 'version', 1)
	tell_sessions(f.owner, '{"type":"options","agent":"' ..
	    string.match(base, '[^:]*$') .. '","options":' .. ARGV[3] .. '}')
	return { 'OK', 1, f.owner }
end

function what.expire()
	local updated = tonumber(redis.call('HGET', key('info'), 'updated'))
	if f.turn ~= '' or redis.call('LLEN', key('inbox')) > 0 then
		updated = tonumber(ARGV[3])
	end
	if updated >= tonumber(ARGV[4]) then
		redis.call('ZADD', KEYS[2], updated, base)
		return { 'OK', 0, f.owner }
	end
	return unload('idle')
end

return what[ARGV[2]]()
