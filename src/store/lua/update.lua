-- update: ARGV: user, version that must be met ('' for any), then fields and
-- values. Returns FORBIDDEN | STALE | OK version.
local owner, version =
    unpack(redis.call('HMGET', key('info'), 'owner', 'version'))
if owner ~= ARGV[1] then
	return { 'FORBIDDEN' }
end
if ARGV[2] ~= '' and ARGV[2] ~= version then
	return { 'STALE' }
end
redis.call('HSET', key('info'), unpack(ARGV, 3))
return { 'OK', redis.call('HINCRBY', key('info'), 'version', 1) }
