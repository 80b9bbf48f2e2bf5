/* SPDX-License-Identifier: MIT */
/*
 * Saving workspaces of sessions: what the sandbox has is compared with what is
 * saved and with what clients know, and what differs is read and saved, or
 * told, or forgotten, a file at a time.
 *
 * Nothing is held while that goes on. A file that changes meanwhile is another
 * version at the next look; whoever changes files says so before and after
 * (`touched`), so there is a next look.
 *
 * Of each change clients are told once. Tools tell what they have changed when
 * they have ended (file_changed, in the log) and note the versions with that;
 * the rest, of background jobs and of the site, is told here. So nothing is
 * told while a tool is at it.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"
#include "keep/sync.h"
#include "sandbox/client.h"
#include "store/files.h"

#define PATH_MAX_BYTES 1024 /* of a file that is saved */

struct sync {
	const struct keep *keep;
	struct arena *arena;
	const char *user, *agent;
	int64_t end_ms; /* mono */
	struct store_files was;
	struct store_file *now; /* in the sandbox; sha and record are NULL */
	size_t count, room;
	int more;    /* files behind the last of them */
	int running; /* something may change them at any time */
	int64_t bytes;
	struct keep_synced *out;
};

static int
ask(struct sync *s, struct sandbox_call *call, struct arena *a, struct err *err)
{
	call->arena = a;
	call->user = s->user;
	call->agent = s->agent;
	return sandbox_ask(s->keep->sandbox, call, err);
}

/* ---- what there is ---- */

static void
take_file(struct sync *s, const struct json *j)
{
	int64_t mode = 0;
	struct store_file *f = &s->now[s->count++];

	*f = (struct store_file){
		.path = arena_strdup(s->arena, json_get_str(j, "path")),
		.etag = arena_strdup(s->arena, json_get_str(j, "etag")),
	};
	json_get_int(j, "size", &f->size);
	json_get_int(j, "mode", &mode);
	f->mode = (int)mode;
}

/* One part of the list. 1 there is another one, 0, or -1. */
static int
scan_part(struct sync *s, struct arena *a, struct err *err)
{
	struct sandbox_call call = { .op = "ws.scan" };
	const struct json *j;
	struct buf m;

	buf_init(&m, a);
	buf_printf(&m, ",\"limit\":%zu", s->room - s->count);
	if (s->count > 0)
		json_add_str(&m, "after", s->now[s->count - 1].path);
	call.members = m.data;
	if (ask(s, &call, a, err) < 0)
		return -1;
	s->running |= json_get_true(call.answer, "running");
	j = json_first(json_get(call.answer, "files"));
	for (; j != NULL && s->count < s->room; j = json_next(j))
		take_file(s, j);
	s->more = json_get_str(call.answer, "next") != NULL;
	return s->more && s->count < s->room;
}

static int
scan(struct sync *s, struct err *err)
{
	struct arena *a = arena_open(65536);
	int rc;

	s->room = (size_t)s->keep->conf->bridge_sync_files;
	s->now = arena_alloc(s->arena, s->room * sizeof(*s->now));
	do {
		rc = scan_part(s, a, err);
		arena_reset(a);
	} while (rc > 0);
	arena_close(&a);
	return rc;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What a list has of a path, or NULL: its elements begin with one. */
static const void *
find(const void *list, size_t count, size_t size, const char *path)
{
	return count == 0 ? NULL : bsearch(&path, list, count, size, by_path);
}

/* ---- one file ---- */

/* Clients are to know this version; "" it is gone. */
static int
tell(struct sync *s, const char *path, const char *etag, struct err *err)
{
	const struct store_told *told =
	    find(s->was.told, s->was.told_count, sizeof(*s->was.told), path);

	if (strcmp(told == NULL ? "" : told->etag, etag) == 0)
		return 0;
	return store_files_tell(s->keep->store, s->arena, s->user, s->agent,
	    path, etag, s->was.generation, err);
}

static int
drop(struct sync *s, const struct store_file *f, struct err *err)
{
	int rc = store_files_drop(
	    s->keep->store, s->arena, s->user, s->agent, f, err);

	if (rc == 0)
		s->out->whole = 0;
	return rc < 0 ? -1 : 0;
}

/* That is all of the file as it is by now, and not too much of it. */
static int
is_whole(
    const struct sync *s, const struct sandbox_call *call, struct store_file *f)
{
	json_get_int(call->answer, "size", &f->size);
	return (int64_t)call->answer_data.len == f->size &&
	       f->size <= s->keep->conf->bridge_sync_file_bytes;
}

/* The bytes of a file, and which version they are of. One that changes just
 * then is left for the next look. */
static int
save(struct sync *s, struct store_file *f, const struct store_file *old,
    struct err *err)
{
	struct sandbox_call call = { .op = "ws.read" };
	struct arena *a = arena_open((size_t)f->size + 4096);
	struct buf m;
	int rc;

	buf_init(&m, a);
	buf_lit(&m, ",\"path\":");
	json_add_str(&m, NULL, f->path);
	json_add_int(&m, "to", s->keep->conf->bridge_sync_file_bytes);
	call.members = m.data;
	rc = ask(s, &call, a, err);
	if (rc < 0 && err->code != ERR_NOT_FOUND && err->code != ERR_INVALID) {
		arena_close(&a);
		return -1;
	}
	if (rc < 0 || !is_whole(s, &call, f)) {
		s->out->whole = 0;
		arena_close(&a);
		return 0;
	}
	f->etag = json_get_str(call.answer, "etag");
	rc = store_files_save(s->keep->store, a, s->user, s->agent, f, old,
	    buf_str(&call.answer_data), s->was.generation, err);
	arena_close(&a);
	s->out->saved += rc > 0;
	if (rc == 0) /* by somebody else */
		s->out->whole = 0;
	return rc < 0 ? -1 : 0;
}

static int
fits(struct sync *s, const struct store_file *f)
{
	const struct conf *c = s->keep->conf;

	if (f->size > c->bridge_sync_file_bytes ||
	    s->bytes + f->size > c->bridge_sync_bytes ||
	    strlen(f->path) > PATH_MAX_BYTES)
		return 0;
	s->bytes += f->size;
	return 1;
}

static int
look_at(struct sync *s, struct store_file *f, struct err *err)
{
	const struct store_file *old =
	    find(s->was.files, s->was.count, sizeof(*s->was.files), f->path);

	if (!fits(s, f)) {
		s->out->unsaved++;
		if (old != NULL && drop(s, old, err) < 0)
			return -1;
		return tell(s, f->path, f->etag, err);
	}
	if (old != NULL && strcmp(old->etag, f->etag) == 0 &&
	    old->mode == f->mode)
		return tell(s, f->path, f->etag, err);
	return save(s, f, old, err);
}

/* ---- all of them ---- */

/* Nobody knows whether it is there: it comes behind the last that was given. */
static int
is_beyond(const struct sync *s, const char *path)
{
	return s->more && s->count > 0 &&
	       strcmp(path, s->now[s->count - 1].path) > 0;
}

static int
is_there(const struct sync *s, const char *path)
{
	return find(s->now, s->count, sizeof(*s->now), path) != NULL;
}

static int
forget_gone(struct sync *s, struct err *err)
{
	for (size_t i = 0; i < s->was.count; i++)
		if (!is_there(s, s->was.files[i].path) &&
		    drop(s, &s->was.files[i], err) < 0)
			return -1;
	for (size_t i = 0; i < s->was.told_count; i++)
		if (!is_there(s, s->was.told[i].path) &&
		    !is_beyond(s, s->was.told[i].path) &&
		    tell(s, s->was.told[i].path, "", err) < 0)
			return -1;
	return 0;
}

static int
compare(struct sync *s, struct err *err)
{
	for (size_t i = 0; i < s->count; i++) {
		if (clk_mono_ms() >= s->end_ms) {
			s->out->whole = 0;
			return 0;
		}
		if (look_at(s, &s->now[i], err) < 0)
			return -1;
	}
	return forget_gone(s, err);
}

static int
finish(struct sync *s, struct err *err)
{
	int64_t before;

	s->out->unsaved += s->more; /* one at least */
	if (store_files_done(s->keep->store, s->arena, s->user, s->agent,
		s->was.generation, s->out->unsaved,
		s->running || !s->out->whole, &before, err) < 0)
		return -1;
	if (s->out->unsaved > 0 && before == 0)
		log_warn("files of %s are not saved, %" PRId64
			 " at least: they are beyond bridge.sync_files, "
			 "sync_file_size or sync_size",
		    s->agent, s->out->unsaved);
	if (s->running || *s->was.generation == '\0')
		s->out->whole = 0;
	return 0;
}

int
keep_sync(const struct keep *k, struct arena *a, const char *user,
    const char *agent, int64_t max_ms, struct keep_synced *out, struct err *err)
{
	struct sync s = { .keep = k,
		.arena = a,
		.user = user,
		.agent = agent,
		.end_ms = clk_mono_ms() + max_ms,
		.out = out };

	*out = (struct keep_synced){ .whole = 1 };
	if (k->sandbox == NULL || k->conf->bridge_sync_interval_ms == 0)
		return 0;
	if (store_files_look(k->store, a, user, agent, &s.was, err) < 0)
		return -1;
	if (scan(&s, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
	} else if (compare(&s, err) < 0) {
		return -1;
	}
	return finish(&s, err);
}
