-- interrupt: marks the running turn, for its holder and for its heirs.
-- ARGV: user. Returns FORBIDDEN | IDLE | TURN turn lease last-event-id.
local owner, turn =
    unpack(redis.call('HMGET', key('info'), 'owner', 'turn'))
if owner ~= ARGV[1] then
	return { 'FORBIDDEN' }
end
if turn == '' then
	return { 'IDLE' }
end
redis.call('HSET', key('info'), 'interrupt', turn)
return { 'TURN', turn, redis.call('GET', key('lease')) or '',
    last_event_id() }
