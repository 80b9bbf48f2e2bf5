-- SPDX-License-Identifier: MIT
-- files: what is saved of a session's workspace, and what was told of it.
--
-- A file that is saved is a field of the hash files, by its path: "SIZE MODE
-- SHA256 ETAG", ETAG its version in the sandbox; its content is a blob, which
-- all of the family share. The hash told has the version that clients know of
-- each path, whether it is saved or not. `touched` of info grows with each
-- thing that may have changed files; who looked before it grew does not tell
-- of changes, as whoever made them may do so.
--
-- KEYS[2] is the zset of workspaces that may have changed, by when they are to
-- be looked at. ARGV: user ('' whoever it is), what, and for
--   look                       nothing more. OK touched working files told
--   save PATH OLD NEW CONTENT GENERATION JSON
--                              saves it as NEW where it is OLD ('' not saved)
--   drop PATH OLD              it is saved no more
--   tell PATH ETAG GENERATION JSON
--                              clients know it in this version, '' is gone
--   mark DUE                   files may have changed
--   take NOW DUE               OK 1 owner, if it is to be looked at by NOW;
--                              the next time then is DUE
--   done GENERATION UNSAVED AGAIN
--                              it was looked at, with so many files that are not
--                              saved. OK and how many those were before
-- GENERATION is `touched` as it was at look, '' if nothing is to be told; JSON
-- the path as JSON. Returns FORBIDDEN (it is no session of the user's) | STALE
-- (another one has saved it) | OK ...
local session, owner, touched, unsaved = unpack(redis.call('HMGET',
    key('info'), 'session', 'owner', 'touched', 'unsaved'))
if (session or '') == '' or (ARGV[1] ~= '' and owner ~= ARGV[1]) then
	if ARGV[2] == 'take' then
		redis.call('ZREM', KEYS[2], base)
	end
	return { 'FORBIDDEN' }
end

local function etag_of(record)
	return string.match(record, '^%d+ %d+ %x+ (.*)$')
end

-- Tells those who show the session, unless they know or nothing may be told.
local function tell_change(path, etag, generation, json)
	local told = redis.call('HGET', key('told'), path)
	if generation == '' or generation ~= (touched or '0') or
	    (told or '') == etag then
		return
	end
	local change = 'deleted'
	if etag == '' then
		redis.call('HDEL', key('told'), path)
	else
		change = told and 'modified' or 'created'
		redis.call('HSET', key('told'), path, etag)
	end
	tell_sessions(owner, '{"type":"file","agent":"' ..
	    string.match(base, '[^:]*$') .. '","change":"' .. change ..
	    '","path":' .. json .. '}')
end

local what = {}

function what.look()
	return { 'OK', touched or '0', files_in_work() and 1 or 0,
	    redis.call('HGETALL', key('files')),
	    redis.call('HGETALL', key('told')) }
end

function what.save()
	local path, old, new = ARGV[3], ARGV[4], ARGV[5]
	local now = redis.call('HGET', key('files'), path) or ''
	if now ~= new then
		if now ~= old then
			return { 'STALE' }
		end
		blob_take(new, ARGV[6])
		blob_drop(now)
		redis.call('HSET', key('files'), path, new)
		-- Another version of the same content is no change.
		if blob_of(now) == blob_of(new) and
		    redis.call('HGET', key('told'), path) == etag_of(now) then
			redis.call('HSET', key('told'), path, etag_of(new))
		end
	end
	if etag_of(new) == '-' then -- it is there from the first
		redis.call('HSETNX', key('told'), path, '-')
	end
	tell_change(path, etag_of(new), ARGV[7], ARGV[8])
	return { 'OK' }
end

function what.drop()
	local now = redis.call('HGET', key('files'), ARGV[3]) or ''
	if now ~= ARGV[4] then
		return { now == '' and 'OK' or 'STALE' }
	end
	blob_drop(now)
	redis.call('HDEL', key('files'), ARGV[3])
	return { 'OK' }
end

function what.tell()
	tell_change(ARGV[3], ARGV[4], ARGV[5], ARGV[6])
	return { 'OK' }
end

function what.mark()
	files_touched(base, ARGV[3])
	return { 'OK' }
end

function what.take()
	local due = redis.call('ZSCORE', KEYS[2], base)
	if not due or tonumber(due) > tonumber(ARGV[3]) then
		return { 'OK', 0, owner }
	end
	redis.call('ZADD', KEYS[2], ARGV[4], base)
	return { 'OK', 1, owner }
end

function what.done()
	redis.call('HSET', key('info'), 'unsaved', ARGV[4])
	if ARGV[3] == (touched or '0') and ARGV[5] == '' then
		redis.call('ZREM', KEYS[2], base)
	end
	return { 'OK', tonumber(unsaved or '') or 0 }
end

return what[ARGV[2]]()
