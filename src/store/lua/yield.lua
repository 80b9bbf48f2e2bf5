-- yield: gives a lease up in the middle of a turn, which stays where it was
-- committed; whoever sweeps next takes it. ARGV: lease value.
turns = KEYS[3]
if redis.call('GET', key('lease')) ~= ARGV[1] then
	return 0
end
redis.call('DEL', key('lease'))
redis.call('ZADD', KEYS[2], 0, base)
uncount_turn()
return 1
