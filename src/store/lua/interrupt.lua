-- interrupt: marks the running turn, for its holder and for its heirs.
-- ARGV: user, now ms. Returns FORBIDDEN | IDLE | TURN turn lease last-event-id.
local owner, turn, state =
    unpack(redis.call('HMGET', key('info'), 'owner', 'turn', 'state'))
if owner ~= ARGV[1] then
	return { 'FORBIDDEN' }
end
if turn == '' then
	return { 'IDLE' }
end
redis.call('HSET', key('info'), 'interrupt', turn)
local held = redis.call('GET', key('lease'))
if is_parked({ state = state }, held) then
	redis.call('ZADD', KEYS[2], ARGV[2], base)
end
return { 'TURN', turn, held or '', last_event_id() }
