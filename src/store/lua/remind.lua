-- SPDX-License-Identifier: MIT
-- remind: a text for the model that starts no turn. The next turn takes it, or
-- the one that runs before its next call of the model.
--
-- ARGV: user, document, bound. Returns FORBIDDEN | FULL | OK.
if redis.call('HGET', key('info'), 'owner') ~= ARGV[1] then
	return { 'FORBIDDEN' }
end
if redis.call('LLEN', key('reminders')) >= tonumber(ARGV[3]) then
	return { 'FULL' }
end
redis.call('RPUSH', key('reminders'), ARGV[2])
redis.call('HSET', key('info'), 'reminders', '1')
return { 'OK' }
