-- renew: ARGV: lease value, lease ms, now ms. Returns 1, or 0 if it is lost.
if redis.call('GET', key('lease')) ~= ARGV[1] then
	return 0
end
redis.call('PEXPIRE', key('lease'), ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3] + ARGV[2], base)
return 1
