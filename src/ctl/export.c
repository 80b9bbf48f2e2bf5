/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm ctl export USER DIR: what is kept of somebody, to be handed out or
 * taken in elsewhere.
 *
 *   user.json        who, when, by which version
 *   usage.jsonl      a line a day and model
 *   agents/ID.jsonl  an agent: a line a message, an event, a tool call ...
 *   files/ID.tar     its workspace, if it has one
 *
 * user.json is written last: a folder without it is of an export that did not
 * come to its end.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/json.h"
#include "ctl/ctl_priv.h"
#include "keep/restore.h"
#include "sandbox/client.h"
#include "store/portable.h"
#include "store/records.h"

#define PAGE 100
#define TRIES 5 /* an agent may be at work just then */
#define DEPTH_MAX 16

struct out {
	struct means *means;
	const struct conf *conf;
	const char *user, *dir;
	struct arena *arena;
	int64_t agents, archives;
};

/* A new file below the folder; NULL and err. */
static FILE *
file_new(struct out *o, const char *name, struct err *err)
{
	const char *path = arena_printf(o->arena, "%s/%s", o->dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (f == NULL)
		err_set(err, ERR_INTERNAL, "%s: %s", path, strerror(errno));
	return f;
}

/* Closes it, and says what could not be written. rc as it was, or -1. */
static int
file_end(FILE *f, int rc, struct err *err)
{
	int bad = ferror(f) || fflush(f) != 0;

	if (fclose(f) != 0 || bad)
		return rc < 0 ? -1
			      : err_set(err, ERR_INTERNAL, "writing: %s",
				    strerror(errno));
	return rc;
}

static int
put_line(void *ctx, const char *line, size_t len, struct err *err)
{
	if (fwrite(line, 1, len, ctx) != len || putc('\n', ctx) == EOF)
		return err_set(
		    err, ERR_INTERNAL, "writing: %s", strerror(errno));
	return 0;
}

/* ---- an agent ---- */

static int
export_lines(struct out *o, const char *id, int listed, struct err *err)
{
	int rc = -1;
	FILE *f;

	for (int i = 0; i < TRIES; i++) {
		f = file_new(
		    o, arena_printf(o->arena, "agents/%s.jsonl", id), err);
		if (f == NULL)
			return -1;
		rc = store_export_agent(means_store(o->means), o->user, id,
		    listed, put_line, f, err);
		rc = file_end(f, rc, err);
		if (rc == 0 || err->code != ERR_CONFLICT)
			return rc;
	}
	return err_prefix(err, "kick it, or drain the pool");
}

/* 1 if there is a part behind it, whose beginning is in *after. */
static int
export_part(struct out *o, struct sandbox_call *call, struct buf *after,
    FILE **f_p, struct err *err)
{
	const char *next;
	struct buf m;

	buf_init(&m, call->arena);
	buf_lit(&m, ",\"path\":\".\"");
	if (after->len > 0)
		json_add_str(&m, "after", buf_str(after));
	call->members = buf_str(&m);
	if (sandbox_ask(means_sandbox(o->means), call, err) < 0)
		return *f_p == NULL && err->code == ERR_NOT_FOUND ? 0 : -1;
	if (*f_p == NULL)
		*f_p = file_new(o,
		    arena_printf(o->arena, "files/%s.tar", call->agent), err);
	if (*f_p == NULL)
		return -1;
	if (fwrite(call->answer_data.data, 1, call->answer_data.len, *f_p) !=
	    call->answer_data.len)
		return err_set(
		    err, ERR_INTERNAL, "writing: %s", strerror(errno));
	next = json_get_str(call->answer, "next");
	buf_clear(after);
	buf_puts(after, next == NULL ? "" : next);
	return next != NULL;
}

/* A workspace that is not there, of which files are saved, is put back. */
static int
restore_files(struct out *o, struct arena *a, const char *id, struct err *err)
{
	struct keep keep = { o->conf, means_store(o->means),
		means_sandbox(o->means) };
	struct sandbox_call usage = {
		.op = "ws.usage", .arena = a, .user = o->user, .agent = id
	};

	if (sandbox_ask(keep.sandbox, &usage, err) == 0)
		return 0;
	if (err->code != ERR_NOT_FOUND)
		return -1;
	return keep_restore(&keep, a, o->user, id, err) < 0 ? -1 : 0;
}

/* Its own workspace: a sub-agent has its maker's. */
static int
export_files(struct out *o, const char *id, struct err *err)
{
	struct arena *a = arena_open(8192);
	struct buf after;
	FILE *f = NULL;
	int rc = restore_files(o, a, id, err);

	arena_reset(a);
	if (rc < 0) {
		arena_close(&a);
		return -1;
	}
	buf_init(&after, NULL);
	do {
		struct sandbox_call call = {
			.op = "fs.tar", .arena = a, .user = o->user, .agent = id
		};

		rc = export_part(o, &call, &after, &f, err);
		arena_reset(a);
	} while (rc > 0);
	o->archives += f != NULL;
	if (f != NULL)
		rc = file_end(f, rc, err);
	buf_fini(&after);
	arena_close(&a);
	return rc;
}

static char *
agent_path(const struct out *o, const char *id)
{
	return arena_printf(o->arena, "%s/agents/%s.jsonl", o->dir, id);
}

/* One that was deleted meanwhile: what was written of it goes too. */
static int
forget_agent(struct out *o, const char *id, struct err *err)
{
	const char *files =
	    arena_printf(o->arena, "%s/files/%s.tar", o->dir, id);

	if ((unlink(agent_path(o, id)) < 0 && errno != ENOENT) ||
	    (unlink(files) < 0 && errno != ENOENT))
		return err_set(
		    err, ERR_INTERNAL, "%s: %s", id, strerror(errno));
	return 0;
}

static int
export_agent(struct out *o, const char *id, int depth, struct err *err)
{
	const char **children;
	size_t n;

	if (export_lines(o, id, depth == 0, err) < 0 ||
	    (means_sandbox(o->means) != NULL && export_files(o, id, err) < 0))
		return err->code == ERR_FORBIDDEN ? forget_agent(o, id, err)
						  : err_prefix(err, "%s", id);
	o->agents++;
	if (store_children(
		means_store(o->means), o->arena, id, &children, &n, err) < 0)
		return -1;
	for (size_t i = 0; depth < DEPTH_MAX && i < n; i++)
		if (export_agent(o, children[i], depth + 1, err) < 0)
			return -1;
	return 0;
}

/* ---- the user ---- */

/* The agents of a page that are not exported yet, and their sub-agents. */
static int
export_page(struct out *o, const struct store_agent *list, size_t count,
    struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (access(agent_path(o, list[i].id), F_OK) != 0 &&
		    export_agent(o, list[i].id, 0, err) < 0)
			return -1;
	return 0;
}

static int
walk_agents(struct out *o, struct err *err)
{
	struct store_agent *list;
	const char *next = "";
	struct buf cursor;
	size_t count;
	int rc;

	buf_init(&cursor, NULL);
	do {
		rc = store_agent_list(means_store(o->means), o->arena, o->user,
		    buf_str(&cursor), PAGE, &list, &count, &next, err);
		buf_clear(&cursor);
		if (rc == 0)
			buf_puts(&cursor, next);
		if (rc == 0)
			rc = export_page(o, list, count, err);
		arena_reset(o->arena);
	} while (rc == 0 && cursor.len > 0);
	buf_fini(&cursor);
	return rc;
}

/* The list is by the last activity: one that was at work meanwhile has moved to
 * its beginning, behind our back. So until a walk finds nothing new. */
static int
export_agents(struct out *o, struct err *err)
{
	int64_t before;

	do {
		before = o->agents;
		if (walk_agents(o, err) < 0)
			return -1;
	} while (o->agents > before);
	return 0;
}

static int
export_usage(struct out *o, struct err *err)
{
	FILE *f = file_new(o, "usage.jsonl", err);

	if (f == NULL)
		return -1;
	return file_end(f,
	    store_export_usage(
		means_store(o->means), o->user, put_line, f, err),
	    err);
}

static int
export_head(struct out *o, struct err *err)
{
	FILE *f = file_new(o, "user.json", err);
	struct buf b;

	if (f == NULL)
		return -1;
	buf_init(&b, o->arena);
	json_open(&b, NULL, '{');
	json_add_int(&b, "format", CTL_EXPORT_FORMAT);
	json_add_str(&b, "user", o->user);
	json_add_str(&b, "version", PACKAGE_VERSION);
	json_add_int(&b, "exported", clk_wall_ms());
	json_add_int(&b, "agents", o->agents);
	json_add_int(&b, "archives", o->archives);
	json_close(&b, '}');
	return file_end(f, put_line(f, b.data, b.len, err), err);
}

static int
make_folders(const struct out *o, struct err *err)
{
	static const char *const names[] = { "", "/agents", "/files" };
	char path[4096];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", o->dir, names[i]);
		if (mkdir(path, 0700) < 0)
			return err_set(
			    err, ERR_INTERNAL, "%s: %s", path, strerror(errno));
	}
	return 0;
}

int
ctl_export(struct ctl *ctl, struct err *err)
{
	struct out o = {
		.conf = ctl->conf, .user = ctl->argument, .dir = ctl->folder
	};
	int rc;

	if (*o.user == '\0')
		return err_set(err, ERR_USAGE, "the name is empty");
	if (make_folders(&o, err) < 0 ||
	    means_new(ctl->conf, &o.means, err) < 0)
		return -1;
	o.arena = arena_open(65536);
	rc = export_agents(&o, err);
	if (rc == 0)
		rc = export_usage(&o, err);
	if (rc == 0)
		rc = export_head(&o, err);
	arena_close(&o.arena);
	means_free(&o.means);
	if (rc == 0 && ctl->json)
		printf("{\"agents\":%" PRId64 ",\"archives\":%" PRId64 "}\n",
		    o.agents, o.archives);
	else if (rc == 0)
		printf("%" PRId64 " agents and the files of %" PRId64
		       " are in %s\n",
		    o.agents, o.archives, o.dir);
	return rc;
}
