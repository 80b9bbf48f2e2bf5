/* SPDX-License-Identifier: MIT */
/*
 * An agent into Redis, from its lines.
 *
 * info is kept back to the end: an agent without it is none, so whatever stops
 * an import leaves nothing that anybody sees, and the next attempt removes it.
 * A segment belongs to all forks that have it: it is written by the first of
 * them, and its set of references at that one's end, so one without references
 * is half written.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "base/json.h"
#include "conf/conf.h"
#include "store/files.h"
#include "store/portable_priv.h"

#define BATCH 200
#define BATCH_BYTES (1024 * 1024)

struct store_import {
	struct store *st;
	struct arena *arena; /* of a batch */
	struct arena *line;
	struct arena *whole;
	struct redis_pipe pipe;
	struct redis_args info;
	char *user, *id, *base;
	const char *segment; /* that messages came of last */
	int is_there;        /* that one, by another agent */
	int listed, has_owner, has_turn, is_parked, waits, is_session;
	const char *created, *updated;
};

static int
flush(struct store_import *im, struct err *err)
{
	const struct redis_reply *r;

	if (im->pipe.count > 0 &&
	    redis_call(im->st->pool, im->arena, &im->pipe, &r, err) < 0)
		return -1;
	arena_reset(im->arena);
	redis_pipe_init(&im->pipe, im->arena);
	return 0;
}

static char *
key_of(const struct store_import *im, const char *part)
{
	return arena_printf(im->arena, "%s:%s", im->base, part);
}

int
store_import_begin(struct store *st, const char *user, const char *id,
    struct store_import **im_r, struct err *err)
{
	struct store_import *im;
	const struct redis_reply *r;

	if (!id_valid(id, "agt_"))
		return err_set(err, ERR_REQUEST, "it has no id of an agent");
	im = calloc(1, sizeof(*im));
	if (im == NULL)
		abort();
	*im_r = im;
	im->st = st;
	im->arena = arena_open(65536);
	im->line = arena_open(65536);
	im->whole = arena_open(16384);
	im->user = arena_strdup(im->whole, user);
	im->id = arena_strdup(im->whole, id);
	im->base = store_base(st, im->whole, id);
	im->segment = im->created = im->updated = "";
	redis_pipe_init(&im->pipe, im->arena);
	redis_args_init(&im->info, im->whole);
	redis_cmd(&im->pipe, "EXISTS", key_of(im, "info"), NULL);
	if (redis_call(st->pool, im->arena, &im->pipe, &r, err) < 0)
		return -1;
	if (r[0].number != 0)
		return err_set(err, ERR_CONFLICT,
		    "%s is there already, and left as it is", id);
	redis_pipe_clear(&im->pipe);
	for (const struct portable_part *p = portable_parts; p->name != NULL;
	     p++)
		redis_cmd(&im->pipe, "DEL", key_of(im, p->name), NULL);
	redis_cmd(&im->pipe, "DEL", key_of(im, "events"), NULL);
	return flush(im, err);
}

void
store_import_free(struct store_import **im_p)
{
	struct store_import *im = *im_p;

	if (im == NULL)
		return;
	*im_p = NULL;
	arena_close(&im->arena);
	arena_close(&im->line);
	arena_close(&im->whole);
	free(im);
}

/* ---- lines ---- */

static int
bad_line(struct err *err, const char *why)
{
	return err_set(err, ERR_REQUEST, "%s", why);
}

/* The first message of a segment: whether another agent has brought it. */
static int
begin_segment(struct store_import *im, const char *segment, struct err *err)
{
	const struct redis_reply *r;
	const char *key;

	if (!id_valid(segment, "seg_"))
		return bad_line(err, "a message is of no segment");
	if (flush(im, err) < 0)
		return -1;
	key = store_segment_key(im->arena, im->base, segment);
	redis_cmd(
	    &im->pipe, "EXISTS", arena_printf(im->arena, "%s:refs", key), NULL);
	if (redis_call(im->st->pool, im->arena, &im->pipe, &r, err) < 0)
		return -1;
	im->is_there = r[0].number != 0;
	redis_pipe_clear(&im->pipe);
	if (!im->is_there)
		redis_cmd(&im->pipe, "DEL", key, NULL);
	im->segment = arena_strdup(im->whole, segment);
	return 0;
}

static int
take_message(struct store_import *im, const char *segment, const char *text,
    struct err *err)
{
	if (segment == NULL)
		return bad_line(err, "a message is of no segment");
	if (strcmp(segment, im->segment) != 0 &&
	    begin_segment(im, segment, err) < 0)
		return -1;
	if (!im->is_there)
		redis_cmd(&im->pipe, "RPUSH",
		    store_segment_key(im->arena, im->base, segment), text,
		    NULL);
	return 0;
}

static int
take_event(struct store_import *im, const char *id, const struct json *docs,
    struct err *err)
{
	struct event_id parsed;
	struct buf text;

	if (id == NULL || event_id_parse(id, strlen(id), &parsed) < 0 ||
	    json_count(docs) == 0)
		return bad_line(err, "an event has no id, or nothing in it");
	redis_begin(&im->pipe, 3 + 2 * (int)json_count(docs));
	redis_arg(&im->pipe, "XADD");
	redis_arg(&im->pipe, key_of(im, "events"));
	redis_arg(&im->pipe, id);
	for (const struct json *e = json_first(docs); e != NULL;
	     e = json_next(e)) {
		buf_init(&text, im->line);
		json_print(&text, e);
		redis_arg(&im->pipe, "e");
		redis_argn(&im->pipe, text.data, text.len);
	}
	return 0;
}

/* What of info decides how it ends. */
static int
take_info(struct store_import *im, const char *name, const char *text,
    struct err *err)
{
	if (strcmp(name, "owner") == 0) {
		if (strcmp(text, im->user) != 0)
			return bad_line(err, "it is of another user");
		im->has_owner = 1;
	}
	if (strcmp(name, "turn") == 0)
		im->has_turn = *text != '\0';
	if (strcmp(name, "state") == 0)
		im->is_parked = strncmp(text, "AWAITING", 8) == 0;
	if (strcmp(name, "updated") == 0)
		im->updated = arena_strdup(im->whole, text);
	if (strcmp(name, "created") == 0)
		im->created = arena_strdup(im->whole, text);
	if (strcmp(name, "session") == 0)
		im->is_session = *text != '\0';
	if (strcmp(name, "loaded") == 0 || strcmp(name, "env") == 0 ||
	    strcmp(name, "unsaved") == 0)
		text = ""; /* that was on another host */
	redis_args_add(&im->info, name, strlen(name));
	redis_args_add(&im->info, text, strlen(text));
	return 0;
}

static int
take_part(struct store_import *im, const struct portable_part *part,
    const char *id, const char *text, struct err *err)
{
	const char *key = key_of(im, part->name);

	if (part->kind == PORTABLE_HASH && id == NULL)
		return bad_line(err, "a field has no name");
	if (strcmp(part->name, "info") == 0)
		return take_info(im, id, text, err);
	if (part->kind == PORTABLE_HASH)
		redis_cmd(&im->pipe, "HSET", key, id, text, NULL);
	else
		redis_cmd(&im->pipe,
		    part->kind == PORTABLE_LIST ? "RPUSH" : "SADD", key, text,
		    NULL);
	im->waits |= strcmp(part->name, "inbox") == 0;
	return 0;
}

static int
take_line(struct store_import *im, const char *name, const struct json *j,
    struct err *err)
{
	const struct json *doc = json_get(j, "doc");
	const char *id = json_get_str(j, "id");
	const char *text = json_get_str(j, "text");
	struct buf b;

	if (strcmp(name, "listed") == 0) {
		im->listed = 1;
		return 0;
	}
	if (strcmp(name, "event") == 0)
		return take_event(im, id, doc, err);
	if (doc != NULL) {
		buf_init(&b, im->line);
		json_print(&b, doc);
		text = buf_str(&b);
	}
	if (text == NULL)
		return bad_line(err, "it has neither doc nor text");
	if (strcmp(name, "message") == 0)
		return take_message(im, id, text, err);
	for (const struct portable_part *p = portable_parts; p->name != NULL;
	     p++)
		if (strcmp(p->name, name) == 0)
			return take_part(im, p, id, text, err);
	return bad_line(err, "it is of no part that is known");
}

int
store_import_line(
    struct store_import *im, const char *line, size_t len, struct err *err)
{
	const struct json *j =
	    json_parse(im->line, line, len, JSON_DEPTH_MAX, err);
	const char *name = json_get_str(j, "part");

	if (j == NULL)
		return -1;
	if (name == NULL)
		return bad_line(err, "it has no part");
	if (take_line(im, name, j, err) < 0)
		return -1;
	arena_reset(im->line);
	if (im->pipe.count >= BATCH || im->pipe.out.len >= BATCH_BYTES)
		return flush(im, err);
	return 0;
}

/* ---- the end ---- */

/* That it refers to its segments: they are whole now. */
static int
refer(struct store_import *im, struct err *err)
{
	const struct redis_reply *r;
	const char **segments;

	redis_cmd(&im->pipe, "SMEMBERS", key_of(im, "held"), NULL);
	if (redis_call(im->st->pool, im->whole, &im->pipe, &r, err) < 0)
		return -1;
	segments = redis_texts(im->whole, &r[0]);
	redis_pipe_clear(&im->pipe);
	for (; *segments != NULL; segments++)
		redis_cmd(&im->pipe, "SADD",
		    arena_printf(im->arena, "%s:refs",
			store_segment_key(im->arena, im->base, *segments)),
		    im->base, NULL);
	return flush(im, err);
}

int
store_import_end(struct store_import *im, struct err *err)
{
	const struct conf *c = im->st->conf;
	int64_t due = clk_shared_ms();
	const char *list;

	if (!im->has_owner)
		return bad_line(err, "it says not whose it is: it was cut");
	if (flush(im, err) < 0 || refer(im, err) < 0)
		return -1;
	/* Listed first, as a new agent is, and as young as one: an old name
	 * without an agent leaves the list. */
	list = store_user_agents_key(im->st, im->arena, im->user);
	if (im->listed)
		redis_cmd(&im->pipe, "ZADD", list,
		    arena_printf(im->arena, "%lld", (long long)due), im->id,
		    NULL);
	if (im->is_session)
		redis_cmd(&im->pipe, "ZADD",
		    store_sessions_key(im->st, im->arena, im->user),
		    im->created, im->id, NULL);
	if (im->is_session && c->bridge_sync_interval_ms > 0)
		redis_cmd(&im->pipe, "ZADD",
		    store_key(im->st, im->arena, STORE_UNSYNCED),
		    arena_printf(
			im->arena, "%lld", (long long)store_files_due_ms(c)),
		    im->base, NULL); /* its files are to be saved here */
	redis_begin(&im->pipe, 2 + im->info.argc);
	redis_arg(&im->pipe, "HSET");
	redis_arg(&im->pipe, key_of(im, "info"));
	redis_args(&im->pipe, &im->info);
	if (im->listed)
		redis_cmd(&im->pipe, "ZADD", list, im->updated, im->id, NULL);
	if (im->has_turn || im->waits) { /* a sweep finds it */
		redis_begin(&im->pipe, 4);
		redis_arg(&im->pipe, "ZADD");
		redis_arg(&im->pipe, store_key(im->st, im->arena, "leases"));
		redis_argi(&im->pipe,
		    due + (im->is_parked ? c->approval_timeout_ms : 0));
		redis_arg(&im->pipe, im->base);
	}
	return flush(im, err);
}
