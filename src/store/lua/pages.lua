-- SPDX-License-Identifier: MIT
--
-- The pages that a user has open, with what they can do: docs/bridge.md. Those
-- whose gateway no longer says that they are there are forgotten.
--
-- KEYS: [1] the user's base, af:user:USER
-- ARGV: [1] how many at most [2] bytes of capabilities at most
--
-- Returns four texts a page: its id, since, dialect, and capabilities, '' of
-- one that has not said any.

redis.call('ZREMRANGEBYSCORE', key('pages'), '-inf', clock_ms())
local out, bytes = {}, 0
for _, client in ipairs(redis.call('ZREVRANGE', key('pages'), 0, ARGV[1] - 1)) do
	local v = redis.call('HMGET', key('page:' .. client), 'since',
	    'dialect', 'capabilities')
	local size = #(v[3] or '')
	if v[1] and bytes + size <= tonumber(ARGV[2]) then
		bytes = bytes + size
		out[#out + 1] = client
		out[#out + 1] = v[1]
		out[#out + 1] = v[2] or ''
		out[#out + 1] = v[3] or ''
	end
end
return out
