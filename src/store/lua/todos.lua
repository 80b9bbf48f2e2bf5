-- SPDX-License-Identifier: MIT
-- todos: replaces the todo list of an agent that is not busy.
--
-- ARGV: user, list (JSON, '' only to look), the list it was made of, now ms,
-- keep.
--
-- Returns FORBIDDEN | BUSY | STALE (it was another one) | OK list.
local f = agent_read()
if f.owner ~= ARGV[1] then
	return { 'FORBIDDEN' }
end
if ARGV[2] == '' or f.todos == ARGV[2] then
	return { 'OK', f.todos }
end
if f.turn ~= '' then
	return { 'BUSY' }
end
if f.todos ~= ARGV[3] then
	return { 'STALE' }
end
redis.call('HSET', key('info'), 'todos', ARGV[2], 'updated', ARGV[4])
emit_alone(f, ARGV[5], ARGV[4], { { channel = 'monitor', kind = 'todo_changed',
    turn = '', step = 0, rest = ',"previous":' ..
    (f.todos == '' and 'null' or f.todos) .. ',"current":' .. ARGV[2] } })
return { 'OK', ARGV[2] }
