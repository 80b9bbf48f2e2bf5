-- yield: gives a lease up in the middle of a turn, which stays where it was
-- committed; whoever sweeps next takes it. ARGV: lease value.
if redis.call('GET', key('lease')) ~= ARGV[1] then
	return 0
end
redis.call('DEL', key('lease'))
redis.call('ZADD', KEYS[2], 0, base)
return 1
