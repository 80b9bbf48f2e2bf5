-- dequeue: takes up the agent that comes next of those that wait for room.
--
-- The queue is a zset of agents by the time since when they wait; beside it
-- stand :user:USER, a zset of the user's agents in their order, :users, a zset
-- of users by their next round, and :rounds, a hash: the round that was served
-- last, the newest place, and who was given what last. Who was run meanwhile
-- is left out.
--
-- KEYS: the queue, leases, what counts of turns begin with. ARGV: UUID:HOLDER,
-- lease ms, now ms, keep, budgets.
-- Returns EMPTY | NEXT base and what start() returns.
local queue = KEYS[1]
turns, budgets = KEYS[3], ARGV[5]
local users, rounds = queue .. ':users', queue .. ':rounds'
local known = { version = '', messages = 0 }

-- The answer to this call, if it was carried out and its answer was lost.
local function repeated()
	local given = redis.call('HGET', rounds, 'given') or ''
	local holder, agent = string.match(given, '^(%S+) (%S+)$')
	if holder ~= ARGV[1] then
		return nil
	end
	base = agent
	local again = started_before(agent_read(),
	    redis.call('GET', key('lease')), holder, 'RESUME', '0-0', known)
	return again and { 'NEXT', base, again }
end

-- What is to be done for the agent, if it still waits for room: itself, and
-- the messages of its next turn.
local function find_work()
	local f = agent_read()
	local held = redis.call('GET', key('lease'))
	if not f.owner or held or is_parked(f, held) then
		return nil
	end
	if f.turn ~= '' then
		return f
	end
	local docs = pop_next('')
	if not docs then
		uncount_turn()
	end
	return docs and f, docs
end

local again = repeated()
if again then
	return again
end
while true do
	local user, place =
	    unpack(redis.call('ZRANGE', users, 0, 0, 'WITHSCORES'))
	if not user then
		redis.call('DEL', queue, rounds)
		return { 'EMPTY' }
	end
	base = redis.call('ZRANGE', queue .. ':user:' .. user, 0, 0)[1] or ''
	leave_queue(queue, user)
	local f, docs = find_work()
	if f then
		local round = math.floor(place / ROUND)
		local last = redis.call('HINCRBY', rounds, 'place', 1)
		redis.call('HSET', rounds, 'round', round, 'given',
		    ARGV[1] .. ' ' .. base)
		redis.call('ZADD', users, 'XX',
		    (round + 1) * ROUND + last % ROUND, user)
		return { 'NEXT', base, start(f, ARGV[1], ARGV[2], ARGV[4],
		    ARGV[3], last_event_id(), docs, known) }
	end
end
