-- SPDX-License-Identifier: MIT
--
-- Hands a command for a page that a user has open to the gateway that has the
-- page: docs/bridge.md. If that gateway does not listen it is gone, and the
-- page with it.
--
-- KEYS: [1] the user's base, af:user:USER
-- ARGV: [1] the page's id [2] what gateways' channels begin with [3] message
--
-- Returns NONE: there is no such page; GONE; or SENT and the gateway.

local page = key('page:' .. ARGV[1])
local server = redis.call('HGET', page, 'server')
if not server then
	return { 'NONE' }
end
if redis.call('PUBLISH', ARGV[2] .. server, ARGV[3]) == 0 then
	redis.call('DEL', page)
	redis.call('ZREM', key('pages'), ARGV[1])
	return { 'GONE' }
end
return { 'SENT', server }
