-- create: ARGV: segment id, then fields and values of info. KEYS[2], of a
-- sub-agent, is the base of its maker, which knows it from then on. Returns 1,
-- 0 if the agent is there already (a repeated call), or -1: its maker is not.
if redis.call('EXISTS', key('info')) == 1 then
	return 0
end
if KEYS[2] then
	if redis.call('EXISTS', KEYS[2] .. ':info') == 0 then
		return -1
	end
	redis.call('SADD', KEYS[2] .. ':children', string.match(base, '[^:]*$'))
end
redis.call('HSET', key('info'), unpack(ARGV, 2))
redis.call('RPUSH', key('segments'), ARGV[1] .. ':*')
redis.call('SADD', segment_key(ARGV[1]) .. ':refs', base)
redis.call('SADD', key('held'), ARGV[1])
return 1
