/* SPDX-License-Identifier: MIT */
/*
 * An agent into Redis, from its lines.
 *
 * info is kept back to the end: an agent without it is none, so whatever stops
 * an import leaves nothing that anybody sees, and the next attempt removes it.
 *
 * Lines go in batches, each a call of import.lua. redis_call() sends again what
 * was not answered, and Redis may come to something long after we gave it up:
 * the script carries out each batch of one attempt once, in their order.
 *
 * A segment belongs to all agents that refer to it. Each brings what it refers
 * to; where others have been before, that is there already.
 */
#include "config.h"

#include <stdarg.h>
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
#define ENTRY_MAX 3000 /* events in one: Lua passes on 8000 words */

/* ---- batches ---- */

static void
batch_clear(struct store_import *im)
{
	arena_reset(im->arena);
	redis_args_init(&im->batch, im->arena);
	im->commands = 0;
}

static void
add(struct store_import *im, const char *word)
{
	redis_args_add(&im->batch, word, strlen(word));
}

static void
add_number(struct store_import *im, int64_t n)
{
	add(im, arena_printf(im->arena, "%lld", (long long)n));
}

/* A command of so many words, which follow. */
static void
begin(struct store_import *im, int words)
{
	add_number(im, words);
	im->commands++;
}

/* A whole command. */
static void __attribute__((sentinel)) cmd(struct store_import *im, ...)
{
	const char *word;
	va_list ap;
	int n = 0;

	va_start(ap, im);
	while (va_arg(ap, const char *) != NULL)
		n++;
	va_end(ap);
	begin(im, n);
	va_start(ap, im);
	while ((word = va_arg(ap, const char *)) != NULL)
		add(im, word);
	va_end(ap);
}

/* Why a batch was not carried out. */
static int
refused(
    const struct store_import *im, const struct redis_reply *r, struct err *err)
{
	const char *segment = r->count > 1 ? redis_text(&r->items[1]) : "";

	if (redis_is(&r->items[0], "THERE"))
		return err_set(err, ERR_CONFLICT,
		    "%s is there already, and left as it is", im->id);
	if (redis_is(&r->items[0], "DIFFERS"))
		return err_set(err, ERR_CONFLICT,
		    "%s: another agent has other messages in %s; it is left "
		    "out",
		    im->id, segment);
	if (redis_is(&r->items[0], "SHORT"))
		return err_set(err, ERR_STORE,
		    "messages of %s went away meanwhile", segment);
	return err_set(err, ERR_CONFLICT,
	    "%s is taken in, or deleted, by somebody else just now", im->id);
}

static int
flush(struct store_import *im, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, im->arena);
	redis_script(&p, SCRIPT_IMPORT, 1, 3 + im->batch.argc);
	redis_arg(&p, im->base);
	redis_arg(&p, im->attempt);
	redis_argi(&p, im->number);
	redis_arg(&p, im->user);
	redis_args(&p, &im->batch);
	if (redis_call(im->st->pool, im->arena, &p, &r, err) < 0)
		return -1;
	if (!redis_is(&r[0].items[0], "OK"))
		return refused(im, &r[0], err);
	im->number++;
	batch_clear(im);
	return 0;
}

static int
flush_if_full(struct store_import *im, struct err *err)
{
	if (im->commands < BATCH && im->batch.out.len < BATCH_BYTES)
		return 0;
	return flush(im, err);
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
	im->tail = im->turn = im->created = im->updated = "";
	id_make(im->attempt, "imp_");
	redis_args_init(&im->info, im->whole);
	redis_args_init(&im->purse, im->whole);
	batch_clear(im);
	cmd(im, "ZREM", store_key(st, im->arena, STORE_RETIRED),
	    arena_printf(im->arena, "%s %s", id, user), NULL);
	return flush(im, err);
}

void
store_import_free(struct store_import **im_p)
{
	struct store_import *im = *im_p;

	if (im == NULL)
		return;
	*im_p = NULL;
	HASH_CLEAR(hh, im->segments);
	arena_close(&im->arena);
	arena_close(&im->line);
	arena_close(&im->whole);
	free(im);
}

/* ---- lines ---- */

static int
take_message(struct store_import *im, const char *segment, const char *text,
    struct err *err)
{
	struct import_segment *s;

	if (segment == NULL || !id_valid(segment, "seg_"))
		return import_bad_line(err, "a message is of no segment");
	HASH_FIND_STR(im->segments, segment, s);
	if (s == NULL || s->count == s->needed)
		return 0; /* others refer to it */
	begin(im, 4);
	add(im, "M");
	add(im, segment);
	add_number(im, s->count++);
	add(im, text);
	return 0;
}

static int
take_event(struct store_import *im, const char *id, const struct json *docs,
    struct err *err)
{
	struct event_id parsed;
	struct buf text;

	if (id == NULL || event_id_parse(id, strlen(id), &parsed) < 0 ||
	    json_count(docs) == 0 || json_count(docs) > ENTRY_MAX)
		return import_bad_line(
		    err, "an event has no id, or nothing in it, or too much");
	begin(im, 3 + 2 * (int)json_count(docs));
	add(im, "XADD");
	add(im, key_of(im, "events"));
	add(im, id);
	for (const struct json *e = json_first(docs); e != NULL;
	     e = json_next(e)) {
		buf_init(&text, im->line);
		json_print(&text, e);
		add(im, "e");
		redis_args_add(&im->batch, text.data, text.len);
	}
	return 0;
}

static void
add_field(struct redis_args *to, const char *name, const char *text)
{
	redis_args_add(to, name, strlen(name));
	redis_args_add(to, text, strlen(text));
}

/* A sub-agent's is the key of its maker's: with the prefix that keys have here.
 */
static const char *
purse_here(const struct store_import *im, const char *text)
{
	const char *key = strrchr(text, ' '), *behind = strrchr(text, '{');

	if (key == NULL || behind == NULL || behind < key)
		return text;
	return arena_printf(im->whole, "%.*s %s%s", (int)(key - text), text,
	    im->st->conf->store_prefix, behind);
}

/* What of info decides how it ends. */
static int
take_info(struct store_import *im, const char *name, const char *text,
    struct err *err)
{
	const struct {
		const char *name, **at;
	} kept[] = { { "updated", &im->updated }, { "created", &im->created },
		{ "turn", &im->turn }, { "tail", &im->tail } };

	if (strcmp(name, "owner") == 0) {
		if (strcmp(text, im->user) != 0)
			return import_bad_line(err, "it is of another user");
		im->has_owner = 1;
	}
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strcmp(name, kept[i].name) == 0)
			*kept[i].at = arena_strdup(im->whole, text);
	if (strcmp(name, "session") == 0)
		im->is_session = *text != '\0';
	if (strcmp(name, "purse") == 0)
		text = purse_here(im, text);
	if (strcmp(name, "loaded") == 0 || strcmp(name, "env") == 0 ||
	    strcmp(name, "unsaved") == 0)
		text = ""; /* that was on another host */
	add_field(&im->info, name, text);
	return 0;
}

static int
take_part(struct store_import *im, const struct portable_part *part,
    const char *id, const char *text, struct err *err)
{
	const char *key = key_of(im, part->name);

	if (part->kind == PORTABLE_HASH && id == NULL)
		return import_bad_line(err, "a field has no name");
	if (strcmp(part->name, "info") == 0)
		return take_info(im, id, text, err);
	if (strcmp(part->name, "purse") == 0) {
		add_field(&im->purse, id, text);
		return 0;
	}
	if (strcmp(part->name, "held") == 0)
		return 0; /* what it refers to says that */
	if (part->kind == PORTABLE_HASH)
		cmd(im, "HSET", key, id, text, NULL);
	else
		cmd(im, part->kind == PORTABLE_LIST ? "RPUSH" : "SADD", key,
		    text, NULL);
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
	if (strcmp(name, "end") == 0)
		return 0;
	if (strcmp(name, "event") == 0)
		return take_event(im, id, doc, err);
	if (doc != NULL) {
		buf_init(&b, im->line);
		json_print(&b, doc);
		text = buf_str(&b);
	}
	if (text == NULL)
		return import_bad_line(err, "it has neither doc nor text");
	if (strcmp(name, "message") == 0)
		return take_message(im, id, text, err);
	for (const struct portable_part *p = portable_parts; p->name != NULL;
	     p++)
		if (strcmp(p->name, name) == 0)
			return take_part(im, p, id, text, err);
	return import_bad_line(err, "it is of no part that is known");
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
		return import_bad_line(err, "it has no part");
	if (take_line(im, name, j, err) < 0)
		return -1;
	arena_reset(im->line);
	return flush_if_full(im, err);
}

/* ---- the end ---- */

/* That it refers to its segments, which have what it refers to. Returns the
 * length of its tail, or -1. */
static int64_t
refer(struct store_import *im, struct err *err)
{
	int64_t tail = -1;

	for (struct import_segment *s = im->segments; s != NULL;
	     s = s->hh.next) {
		if (s->needed != INT64_MAX && s->count < s->needed)
			return err_set(err, ERR_REQUEST,
			    "it has %lld messages of %s and refers to %lld: it "
			    "was cut",
			    (long long)s->count, s->id, (long long)s->needed);
		if (strcmp(s->id, im->tail) == 0)
			tail = s->count;
		begin(im, 3);
		add(im, "H");
		add(im, s->id);
		add_number(im, s->count);
		if (flush_if_full(im, err) < 0)
			return -1;
	}
	return tail >= 0 ? tail
			 : import_bad_line(err, "its history has no end: it "
						"was cut");
}

/* It is in the lists that it was in. */
static void
list(struct store_import *im)
{
	const struct conf *c = im->st->conf;

	if (im->listed)
		cmd(im, "ZADD",
		    store_user_agents_key(im->st, im->arena, im->user),
		    im->updated, im->id, NULL);
	if (!im->is_session)
		return;
	cmd(im, "ZADD", store_sessions_key(im->st, im->arena, im->user),
	    im->created, im->id, NULL);
	if (c->bridge_sync_interval_ms > 0) /* its files are to be saved here */
		cmd(im, "ZADD", store_key(im->st, im->arena, STORE_UNSYNCED),
		    arena_printf(
			im->arena, "%lld", (long long)store_files_due_ms(c)),
		    im->base, NULL);
}

/* A command of a hash's fields and values, which were collected. */
static void
add_fields(struct store_import *im, const struct redis_args *fields)
{
	buf_add(&im->batch.out, fields->out.data, fields->out.len);
	im->batch.argc += fields->argc;
}

int
store_import_end(struct store_import *im, struct err *err)
{
	char other[ID_SIZE];
	int64_t tail;

	if (!im->has_owner || *im->updated == '\0' || *im->created == '\0')
		return import_bad_line(
		    err, "it says not whose it is, or since when: it was cut");
	tail = refer(im, err);
	if (tail < 0)
		return -1;
	if (im->purse.argc > 0 && *im->turn != '\0') {
		begin(im, 2 + im->purse.argc);
		add(im, "HSET");
		add(im,
		    arena_printf(im->arena, "%s:purse:%s", im->base, im->turn));
		add_fields(im, &im->purse);
	}
	list(im);
	id_make(other, "seg_");
	begin(im, 4 + im->info.argc);
	add(im, "I");
	add(im, im->tail);
	add_number(im, tail);
	add(im, other);
	add_fields(im, &im->info);
	return flush(im, err);
}

/* A sweep finds it. */
int
store_import_wake(
    struct store *st, const char *user, const char *id, struct err *err)
{
	struct arena *a = arena_open(4096);
	const char *base = store_base(st, a, id);
	const struct redis_reply *r;
	int64_t due = clk_shared_ms();
	struct redis_pipe p;
	int rc;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "HMGET", arena_printf(a, "%s:info", base), "owner",
	    "turn", "state", NULL);
	redis_cmd(&p, "LLEN", arena_printf(a, "%s:inbox", base), NULL);
	rc = redis_call(st->pool, a, &p, &r, err);
	if (rc == 0 && redis_is(&r[0].items[0], user) &&
	    (*redis_text(&r[0].items[1]) != '\0' || r[1].number > 0)) {
		if (strncmp(redis_text(&r[0].items[2]), "AWAITING", 8) == 0)
			due += st->conf->approval_timeout_ms;
		redis_pipe_clear(&p);
		redis_begin(&p, 5);
		redis_arg(&p, "ZADD");
		redis_arg(&p, store_key(st, a, "leases"));
		redis_arg(&p, "NX"); /* it is at work already */
		redis_argi(&p, due);
		redis_arg(&p, base);
		rc = redis_call(st->pool, a, &p, &r, err);
	}
	arena_close(&a);
	return rc;
}
