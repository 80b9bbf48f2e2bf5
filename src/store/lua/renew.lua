-- renew: ARGV: lease value, lease ms, now ms. KEYS[3] is what counts of turns
-- begin with, if there are any. Returns 1, or 0 if it is lost.
turns = KEYS[3]
if redis.call('GET', key('lease')) ~= ARGV[1] then
	return 0
end
redis.call('PEXPIRE', key('lease'), ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3] + ARGV[2], base)
count_turn(ARGV[2])
return 1
