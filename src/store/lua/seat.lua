-- seat: a stream that limit.lua counted is still open, or is gone.
--
-- KEYS: the zsets that count it. ARGV: its id, and the ms for which it counts
-- from now on; 0 no longer. Returns nothing.
local clock = redis.call('TIME')
local ms = tonumber(ARGV[2])
for _, zset in ipairs(KEYS) do
	if ms == 0 then
		redis.call('ZREM', zset, ARGV[1])
	else
		redis.call('ZADD', zset, clock[1] * 1000 +
		    math.floor(clock[2] / 1000) + ms, ARGV[1])
		redis.call('PEXPIRE', zset, ms)
	end
end
