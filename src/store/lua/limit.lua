-- limit: may something happen now, by several rates at once, and by how many
-- are open? If all allow it, it is counted by all of them, else by none.
--
-- Each rate is a GCRA: what its key holds is the time at which all that was
-- counted will have drained, one each interval. As long as that is less than
-- burst intervals away there is room for one more. What is open is counted by
-- zsets, of ids by the time until which they count unless that is renewed. The
-- time is Redis's own, so hosts whose clocks differ agree.
--
-- KEYS: of the rates, then of the zsets, all in one hash slot. ARGV: 1 to
-- count, 0 to look; how many rates; of each its interval in us and its burst;
-- the id that would be one more, the ms for which it counts, and how many each
-- zset may have.
--
-- Returns, for each rate, whether it allows (1 or 0), how many more it would,
-- the us until all are free again, and until there is room for one (0: now);
-- and for each zset whether it allows, and how many it has then.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local now_ms = math.floor(now / 1000)
local rates = tonumber(ARGV[2])
local behind = 3 + 2 * rates
local id, ms = ARGV[behind], tonumber(ARGV[behind + 1])
local drained, answer, allowed = {}, {}, true

for i = 1, rates do
	local interval, burst = ARGV[2 * i + 1] + 0, ARGV[2 * i + 2] + 0
	local at = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now)
	-- The clock was set back, or the burst is less than it was.
	at = math.min(at, now + interval * burst)
	local wait = at + interval - interval * burst - now
	drained[i] = at
	answer[i] = { wait <= 0 and 1 or 0,
	    math.floor((now - at) / interval + burst + 1e-6), at - now,
	    math.max(wait, 0) }
	allowed = allowed and wait <= 0
end
for i = rates + 1, #KEYS do
	local open = redis.call('ZCOUNT', KEYS[i], now_ms, '+inf')
	local room = open < tonumber(ARGV[behind + 1 + i - rates]) or
	    redis.call('ZSCORE', KEYS[i], id)
	answer[i] = { room and 1 or 0, open }
	allowed = allowed and room
end
if ARGV[1] ~= '1' or not allowed then
	return answer
end
-- When Redis is full, a script may go on if its first write takes no memory:
-- else nobody could delete anything.
redis.call('PERSIST', KEYS[1])
for i = 1, rates do
	local at = drained[i] + ARGV[2 * i + 1]
	redis.call('SET', KEYS[i], string.format('%.0f', at), 'PX',
	    math.ceil((at - now) / 1000))
	answer[i][2] = answer[i][2] - 1
	answer[i][3] = at - now
end
for i = rates + 1, #KEYS do
	answer[i][2] = answer[i][2] +
	    redis.call('ZADD', KEYS[i], now_ms + ms, id)
	redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now_ms)
	if redis.call('PTTL', KEYS[i]) < ms then
		redis.call('PEXPIRE', KEYS[i], ms)
	end
end
return answer
