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
local prev, out, epoch = last_event_id(), {}, f.epoch + 1
redis.call('HSET', key('info'), 'todos', ARGV[2], 'updated', ARGV[4],
    'epoch', epoch)
emit(out, ARGV[5], epoch .. '-0', 'monitor', 'todo_changed', '', 0, ARGV[4],
    ',"previous":' .. (f.todos == '' and 'null' or f.todos) .. ',"current":' ..
    ARGV[2])
publish(prev, out)
return { 'OK', ARGV[2] }
