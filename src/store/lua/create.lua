-- create: ARGV: segment id, then fields and values of info. Returns 1, or 0
-- if the agent is there already (a repeated call).
if redis.call('EXISTS', key('info')) == 1 then
	return 0
end
redis.call('HSET', key('info'), unpack(ARGV, 2))
redis.call('RPUSH', key('segments'), ARGV[1] .. ':*')
redis.call('SADD', segment_key(ARGV[1]) .. ':refs', base)
redis.call('SADD', key('held'), ARGV[1])
return 1
