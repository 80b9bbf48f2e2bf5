--+ alone
-- limit: may something happen now, by several rates at once? If all allow it,
-- it is counted by all of them, else by none.
--
-- Each rate is a GCRA: what its key holds is the time at which all that was
-- counted will have drained, one each interval. As long as that is less than
-- burst intervals away there is room for one more. The time is Redis's own, so
-- hosts whose clocks differ agree.
--
-- KEYS: of each rate, all in one hash slot. ARGV: 1 to count, 0 to look; then
-- of each rate its interval in us and its burst.
--
-- Returns, for each rate, whether it allows (1 or 0), how many more it would,
-- the us until all are free again, and until there is room for one (0: now).
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local drained, answer, allowed = {}, {}, true

for i, key in ipairs(KEYS) do
	local interval, burst = ARGV[2 * i] + 0, ARGV[2 * i + 1] + 0
	local at = math.max(tonumber(redis.call('GET', key) or 0), now)
	-- The clock was set back, or the burst is less than it was.
	at = math.min(at, now + interval * burst)
	local wait = at + interval - interval * burst - now
	drained[i] = at
	answer[i] = { wait <= 0 and 1 or 0,
	    math.floor((now - at) / interval + burst + 1e-6), at - now,
	    math.max(wait, 0) }
	allowed = allowed and wait <= 0
end
if ARGV[1] == '1' and allowed then
	for i, key in ipairs(KEYS) do
		local interval = ARGV[2 * i] + 0
		local at = drained[i] + interval
		redis.call('SET', key, string.format('%.0f', at), 'PX',
		    math.ceil((at - now) / 1000))
		answer[i][2] = answer[i][2] - 1
		answer[i][3] = at - now
	end
end
return answer
