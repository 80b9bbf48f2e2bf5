-- take: the lease of an agent whose holder died or let it run out.
--
-- ARGV: the lease value that may be replaced ('' for none: only if nobody
-- holds it), UUID:HOLDER, lease ms, now ms, keep.
--
-- Returns HELD | IDLE (nothing to do; it is forgotten) | BEGIN or RESUME.
local held = redis.call('GET', key('lease'))
if held and held ~= ARGV[1] then
	return { 'HELD' }
end
if redis.call('HGET', key('info'), 'turn') == '' and
    redis.call('LLEN', key('inbox')) > 0 or
    (redis.call('HGET', key('info'), 'turn') or '') ~= '' then
	return start(ARGV[2], ARGV[3], ARGV[5], ARGV[4], last_event_id())
end
redis.call('DEL', key('lease'))
redis.call('ZREM', KEYS[2], base)
return { 'IDLE' }
