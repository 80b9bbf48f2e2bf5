-- delete: an agent and all that only it refers to. KEYS[3] is the queue of
-- agents that wait for room, KEYS[4] what counts of turns begin with, if there
-- are any. ARGV: user, and which:
--   ''         whatever it does;
--   childless  only if it has no sub-agents;
--   import     what an import that stopped has left, if there is no agent;
--   a time in ms  only if it was at work last before that, and is idle; then
--              it is noted that its files are to be deleted.
-- Returns FORBIDDEN | BUSY | OK. Whoever holds the lease finds it gone and
-- stops; the viewers are told by a line without events.
local owner, turn =
    unpack(redis.call('HMGET', key('info'), 'owner', 'turn'))
if ARGV[2] == 'import' then -- of one that was taken in by half
	if owner then
		return { 'BUSY' }
	end
	owner = redis.call('HGET', key('import'), 'owner')
end
if owner ~= ARGV[1] then
	return { 'FORBIDDEN' }
end
if ARGV[2] == 'childless' and redis.call('SCARD', key('children')) > 0 then
	return { 'BUSY' }
end
if tonumber(ARGV[2]) then
	local updated = redis.call('HGET', key('info'), 'updated')
	if turn ~= '' or tonumber(updated or 0) >= tonumber(ARGV[2]) or
	    redis.call('LLEN', key('inbox')) > 0 then
		return { 'BUSY' }
	end
	redis.call('ZADD', key_prefix() .. 'retired', clock_ms(),
	    string.match(base, '[^:]*$') .. ' ' .. owner)
end
turns = KEYS[4]
uncount_turn()
leave_queue(KEYS[3], owner)
for _, segment in ipairs(redis.call('SMEMBERS', key('held'))) do
	leave_segment(segment)
end
for _, record in ipairs(redis.call('HVALS', key('files'))) do
	blob_drop(record)
end
redis.call('ZREM', key_prefix() .. 'unsynced', base)
drop_parts(turn or '')
redis.call('ZREM', KEYS[2], base)
redis.call('PUBLISH', key('live'), 'gone')
return { 'OK' }
