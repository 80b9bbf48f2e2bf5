-- SPDX-License-Identifier: MIT
--
-- A page that a user has open, as its gateway says: docs/bridge.md. With two
-- arguments it stays as it is, for that time from now on.
--
-- KEYS: [1] the user's base, af:user:USER
-- ARGV: [1] the page's id [2] ms that it stays [3] its gateway [4] dialect
--       [5] since when it can do what it can, '' from now on [6] capabilities,
--       '' if it has not said any
--
-- Returns since; '' if it is to stay, and is not there.

local page, now, stay = key('page:' .. ARGV[1]), clock_ms(), tonumber(ARGV[2])
local since = ARGV[5]
if ARGV[3] then
	if since == '' then
		since = string.format('%.0f', now)
	end
	redis.call('DEL', page)
	redis.call('HSET', page, 'server', ARGV[3], 'dialect', ARGV[4],
	    'since', since)
	if ARGV[6] ~= '' then
		redis.call('HSET', page, 'capabilities', ARGV[6])
	end
else
	since = redis.call('HGET', page, 'since')
	if not since then
		return ''
	end
end
redis.call('PEXPIRE', page, stay)
redis.call('ZADD', key('pages'), string.format('%.0f', now + stay), ARGV[1])
if redis.call('PTTL', key('pages')) < stay then
	redis.call('PEXPIRE', key('pages'), stay)
end
return since
