-- messages: a page of the history, and the newest event, as of one moment.
-- ARGV: user, index of the first (negative: the last page), how many. Returns
-- FORBIDDEN | OK total first-index last-event-id documents.
local owner, tail =
    unpack(redis.call('HMGET', key('info'), 'owner', 'tail'))
if owner ~= ARGV[1] then
	return { 'FORBIDDEN' }
end
local segment = segment_key(tail)
local total = redis.call('LLEN', segment)
local from, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
if from < 0 then
	from = math.max(0, total - limit)
end
return { 'OK', total, from, last_event_id(),
    redis.call('LRANGE', segment, from, from + limit - 1) }
