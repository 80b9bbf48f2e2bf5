/* SPDX-License-Identifier: MIT */
/*
 * What is saved of workspaces: files.lua says how it is kept and changes it,
 * each file in one step that compares what was there. So whoever syncs beside
 * another, or again after its answer was lost, does no harm, and a change is
 * told once.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "base/json.h"
#include "base/sha256.h"
#include "conf/conf.h"
#include "store/files.h"
#include "store/store_priv.h"

#define BATCH_BYTES (1 << 20) /* that are read at a time, about */

/* Begins a call of files.lua; argc arguments follow. */
static void
begin(const struct store *st, struct arena *a, struct redis_pipe *p,
    const char *base, const char *user, const char *what, int argc)
{
	redis_pipe_init(p, a);
	redis_script(p, SCRIPT_FILES, 2, 2 + argc);
	redis_arg(p, base);
	redis_arg(p, store_key(st, a, STORE_UNSYNCED));
	redis_arg(p, user);
	redis_arg(p, what);
}

/* The same of an agent. 0, or -1 and ERR_FORBIDDEN. */
static int
begin_own(const struct store *st, struct arena *a, struct redis_pipe *p,
    const char *user, const char *agent, const char *what, int argc,
    struct err *err)
{
	if (!id_valid(agent, "agt_"))
		return store_forbidden(err);
	begin(st, a, p, store_base(st, a, agent), user, what, argc);
	return 0;
}

/* 1, or 0: the answer is STALE; -1. */
static int
call(struct store *st, struct arena *a, struct redis_pipe *p,
    const struct redis_reply **r_r, struct err *err)
{
	if (store_call(st, a, p, r_r, err) < 0)
		return -1;
	return !redis_is(&(*r_r)[0].items[0], "STALE");
}

static void
arg_path_json(struct arena *a, struct redis_pipe *p, const char *path)
{
	struct buf b;

	buf_init(&b, a);
	json_add_str(&b, NULL, path);
	redis_arg(p, b.data);
}

/* ---- reading ---- */

/* "SIZE MODE SHA ETAG". 0, or -1: it is none. */
static int
decode(
    struct arena *a, const char *path, const char *record, struct store_file *f)
{
	char sha[SHA256_HEX_SIZE];
	int at = 0;

	*f = (struct store_file){ .path = path, .record = record };
	if (sscanf(record, "%" SCNd64 " %d %64[0-9a-f] %n", &f->size, &f->mode,
		sha, &at) != 3 ||
	    at == 0 || strlen(sha) != SHA256_HEX_SIZE - 1)
		return -1;
	f->sha = arena_strdup(a, sha);
	f->etag = record + at;
	return 0;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

_Static_assert(offsetof(struct store_file, path) == 0 &&
		   offsetof(struct store_told, path) == 0,
    "by_path compares both");

int
store_files_look(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_files *out, struct err *err)
{
	const struct redis_reply *r, *files, *told;
	struct redis_pipe p;

	if (begin_own(st, a, &p, user, agent, "look", 0, err) < 0 ||
	    call(st, a, &p, &r, err) < 0)
		return -1;
	memset(out, 0, sizeof(*out));
	out->generation =
	    r[0].items[2].number ? "" : redis_text(&r[0].items[1]);
	files = &r[0].items[3];
	told = &r[0].items[4];
	out->files =
	    arena_alloc(a, (files->count / 2 + 1) * sizeof(*out->files));
	out->told = arena_alloc(a, (told->count / 2 + 1) * sizeof(*out->told));
	for (size_t i = 0; i + 1 < files->count; i += 2)
		out->count += decode(a, redis_text(&files->items[i]),
				  redis_text(&files->items[i + 1]),
				  &out->files[out->count]) == 0;
	for (size_t i = 0; i + 1 < told->count; i += 2)
		out->told[out->told_count++] =
		    (struct store_told){ redis_text(&told->items[i]),
			    redis_text(&told->items[i + 1]) };
	qsort(out->files, out->count, sizeof(*out->files), by_path);
	qsort(out->told, out->told_count, sizeof(*out->told), by_path);
	return 0;
}

static char *
blob_key(
    const struct store *st, struct arena *a, const char *agent, const char *sha)
{
	const char *base = store_base(st, a, agent);

	return arena_printf(
	    a, "%.*s:blob:%s", (int)(strrchr(base, ':') - base), base, sha);
}

int
store_files_read(struct store *st, struct arena *a, const char *agent,
    const struct store_file *files, size_t count, const char **content_r,
    struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;
	int64_t bytes;
	size_t n;

	for (size_t at = 0; at < count; at += n) {
		redis_pipe_init(&p, a);
		for (n = 0, bytes = 0; at + n < count && bytes < BATCH_BYTES;
		     n++) {
			redis_cmd(&p, "GET",
			    blob_key(st, a, agent, files[at + n].sha), NULL);
			bytes += files[at + n].size + 100;
		}
		if (redis_call(st->pool, a, &p, &r, err) < 0)
			return -1;
		for (size_t i = 0; i < n; i++)
			content_r[at + i] =
			    r[i].type == REDIS_TEXT &&
				    (int64_t)r[i].len == files[at + i].size
				? r[i].text
				: NULL;
	}
	return 0;
}

/* ---- changes ---- */

int
store_files_save(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_file *f, const struct store_file *old,
    const char *content, const char *generation, struct err *err)
{
	char *sha = arena_alloc(a, SHA256_HEX_SIZE);
	const struct redis_reply *r;
	struct redis_pipe p;

	sha256_hex(content, (size_t)f->size, sha);
	f->sha = sha;
	f->record = arena_printf(
	    a, "%" PRId64 " %d %s %s", f->size, f->mode, sha, f->etag);
	if (begin_own(st, a, &p, user, agent, "save", 6, err) < 0)
		return -1;
	redis_arg(&p, f->path);
	redis_arg(&p, old == NULL ? "" : old->record);
	redis_arg(&p, f->record);
	redis_argn(&p, content, (size_t)f->size);
	redis_arg(&p, generation);
	arg_path_json(a, &p, f->path);
	return call(st, a, &p, &r, err);
}

int
store_files_drop(struct store *st, struct arena *a, const char *user,
    const char *agent, const struct store_file *f, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (begin_own(st, a, &p, user, agent, "drop", 2, err) < 0)
		return -1;
	redis_arg(&p, f->path);
	redis_arg(&p, f->record);
	return call(st, a, &p, &r, err);
}

int
store_files_tell(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *path, const char *etag,
    const char *generation, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (begin_own(st, a, &p, user, agent, "tell", 4, err) < 0)
		return -1;
	redis_arg(&p, path);
	redis_arg(&p, etag);
	redis_arg(&p, generation);
	arg_path_json(a, &p, path);
	return call(st, a, &p, &r, err) < 0 ? -1 : 0;
}

/* ---- when ---- */

/* Before the interval is over, as the look itself takes its time. */
int64_t
store_files_due_ms(const struct conf *c)
{
	return clk_shared_ms() + c->bridge_sync_interval_ms / 4 * 3;
}

int
store_files_mark(struct store *st, struct arena *a, const char *user,
    const char *agent, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (st->conf->bridge_sync_interval_ms == 0)
		return 0;
	if (begin_own(st, a, &p, user, agent, "mark", 1, err) < 0)
		return -1;
	redis_argi(&p, store_files_due_ms(st->conf));
	if (call(st, a, &p, &r, err) < 0 && err->code != ERR_FORBIDDEN)
		return -1;
	return 0;
}

int
store_files_due(struct store *st, struct arena *a, int limit,
    const char ***bases_r, size_t *count_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "ZRANGEBYSCORE", store_key(st, a, STORE_UNSYNCED), "-inf",
	    arena_printf(a, "%" PRId64, clk_shared_ms()), "LIMIT", "0",
	    arena_printf(a, "%d", limit), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	*bases_r = redis_texts(a, &r[0]);
	*count_r = r[0].count;
	return 0;
}

int
store_files_take(struct store *st, struct arena *a, const char *base,
    const char **user_r, const char **agent_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	begin(st, a, &p, base, "", "take", 2);
	redis_argi(&p, clk_shared_ms());
	redis_argi(&p, store_files_due_ms(st->conf));
	if (call(st, a, &p, &r, err) < 0)
		return err->code == ERR_FORBIDDEN ? 0 : -1;
	*user_r = redis_text(&r[0].items[2]);
	*agent_r = strrchr(base, ':') == NULL ? "" : strrchr(base, ':') + 1;
	return (int)r[0].items[1].number;
}

int
store_files_done(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *generation, int64_t unsaved, int again,
    int64_t *before_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (begin_own(st, a, &p, user, agent, "done", 3, err) < 0)
		return -1;
	redis_arg(&p, generation);
	redis_argi(&p, unsaved);
	redis_arg(&p, again ? "1" : "");
	if (call(st, a, &p, &r, err) < 0)
		return -1;
	*before_r = r[0].items[1].number;
	return 0;
}
