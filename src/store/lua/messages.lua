-- SPDX-License-Identifier: MIT
-- messages: a page of the history, and the newest event, as of one moment.
--
-- ARGV: user, index of the first (negative: the last page), how many, window
-- ('' the present one; compaction leaves those before it). Returns FORBIDDEN
-- | NONE (no such window) | OK total first-index last-event-id documents.
local owner, tail, before =
    unpack(redis.call('HMGET', key('info'), 'owner', 'tail', 'before'))
if owner ~= ARGV[1] then
	return { 'FORBIDDEN' }
end
local references = redis.call('LRANGE', key('segments'), 0, -1)
local total = history_length(before, tail)
if ARGV[4] ~= '' then
	local window = redis.call('LINDEX', key('windows'), ARGV[4])
	if not window or window == '' then -- none, or dropped by now
		return { 'NONE' }
	end
	references, total = {}, 0
	for segment, length in string.gmatch(window, '(%S+):(%d+)') do
		references[#references + 1] = segment .. ':' .. length
		total = total + length
	end
end
local from, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
if from < 0 then
	from = math.max(0, total - limit)
end

local docs, at = {}, 0
for _, reference in ipairs(references) do
	local segment, length = string.match(reference, '^(.-):(.*)$')
	length = tonumber(length) or total - at
	local first, last = math.max(from - at, 0),
	    math.min(from + limit - at, length) - 1
	if first <= last then
		for _, doc in ipairs(redis.call('LRANGE',
		    segment_key(segment), first, last)) do
			docs[#docs + 1] = doc
		end
	end
	at = at + length
end
return { 'OK', total, from, last_event_id(), docs }
