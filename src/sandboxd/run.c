/* SPDX-License-Identifier: MIT */
/*
 * bash.run: a command, and what came of it.
 *
 * The workspace is not locked meanwhile, only looked at before and after.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "conf/conf.h"
#include "sandboxd/job.h"
#include "sandboxd/runner.h"
#include "sandboxd/snapshot.h"
#include "sandboxd/watch.h"

#define KEPT_BYTES (8u << 20) /* of what it prints */
#define CHANGES_MAX 100

/* What is shown while it runs: so much at a time, so often, so much in all. */
#define PART_BYTES 4096
#define PART_EVERY_MS 200
#define PARTS_BYTES 65536

struct command {
	struct job *job;
	struct run run;
	struct watch watch;
	int changes;
	int streams;        /* somebody watches */
	size_t shown, sent; /* bytes of what is kept */
	int64_t sent_ms;
};

/* ---- while it runs ---- */

/* The next part, of whole characters, if it is time for one. */
static void
show_part(struct command *c)
{
	const struct buf *out = &c->job->answer_data;
	int64_t now = clk_mono_ms();
	size_t len = out->len - c->shown, whole;

	if (!c->streams || len == 0 || c->sent >= PARTS_BYTES ||
	    now - c->sent_ms < PART_EVERY_MS)
		return;
	if (len > PART_BYTES) { /* what it skips is in the answer */
		c->shown = out->len - PART_BYTES;
		while (
		    c->shown < out->len && (out->data[c->shown] & 0xc0) == 0x80)
			c->shown++; /* to where a character begins */
		len = out->len - c->shown;
	}
	whole = json_utf8_whole(out->data + c->shown, len);
	if (len - whole >= 4)
		whole = len; /* it is no UTF-8 at all */
	if (whole == 0)
		return;
	c->job->emit(c->job, out->data + c->shown, whole);
	c->shown += whole;
	c->sent += whole;
	c->sent_ms = now;
}

static void
on_output(void *ctx, const char *p, size_t len)
{
	struct command *c = ctx;
	struct buf *out = &c->job->answer_data;
	size_t room = KEPT_BYTES - out->len;

	buf_add(out, p, len < room ? len : room);
	show_part(c);
}

static int
is_over(void *ctx)
{
	struct command *c = ctx;

	show_part(c);
	return job_is_over_quota(c->job);
}

/* ---- around it ---- */

static void
on_change(void *ctx, const char *path, const char *what, const struct stat *st)
{
	struct command *c = ctx;
	struct buf *b = &c->job->answer;

	if (st != NULL && workspace_has_seen(&c->job->ws, path))
		workspace_saw(&c->job->ws, path, st);
	if (c->changes++ >= CHANGES_MAX)
		return;
	json_open(b, NULL, '{');
	json_add_str(b, "path", path);
	json_add_str(b, "change", what);
	json_add_int(b, "size", st == NULL ? 0 : st->st_size);
	if (st != NULL)
		job_etag(b, st);
	json_close(b, '}');
}

/* What it has changed is the agent's own doing: no conflict later. */
static void
answer_changes(struct command *c, struct snapshot *before)
{
	struct job *j = c->job;
	struct snapshot *after;

	json_open(&j->answer, "changes", '[');
	if (before != NULL && workspace_enter(j->workspaces, j->user, j->agent,
				  WORKSPACE_ALONE, &j->ws, NULL) == 0) {
		after = snapshot_take(j->ws.root, NULL);
		if (after != NULL)
			snapshot_compare(before, after, on_change, c);
		snapshot_free(&after);
		workspace_forget(&j->ws);
		workspace_leave(j->workspaces, &j->ws);
	}
	json_close(&j->answer, ']');
	json_add_int(&j->answer, "changed", c->changes);
}

static void
answer_end(struct command *c)
{
	struct buf *b = &c->job->answer;
	int code = watch_code(&c->watch);

	json_add_int(b, "code", code);
	if (code > 128 && code < 128 + NSIG)
		json_add_int(b, "signal", code - 128);
	json_add_str(b, "end", run_end_name(run_end_of(&c->run)));
	json_add_int(b, "bytes", (int64_t)c->watch.printed);
	json_add_int(b, "ms", clk_mono_ms() - c->watch.started_ms);
}

static struct snapshot *
look_before(
    struct job *j, struct buf *path, char *key, size_t size, struct err *err)
{
	struct snapshot *s;

	if (workspace_enter(j->workspaces, j->user, j->agent, WORKSPACE_MAKE,
		&j->ws, err) < 0)
		return NULL;
	workspace_path(&j->ws, path);
	snprintf(key, size, "%s", workspace_key(&j->ws));
	s = snapshot_take(j->ws.root, err);
	workspace_leave(j->workspaces, &j->ws);
	return s;
}

int
bash_run(struct job *j, struct err *err)
{
	struct command c = { .job = j,
		.run = { .connection = j->connection, .id = j->id },
		.streams = json_get_true(j->rq, "stream") };
	struct order order = { .command = job_command(j, err) };
	struct snapshot *before;
	struct buf path;
	long long ms;
	int rc = -1;

	if (order.command == NULL ||
	    job_int(j, "timeout_ms", 1, j->conf->sandbox_max_time_ms,
		j->conf->sandbox_command_time_ms, &ms, err) < 0)
		return -1;
	c.watch = (struct watch){ .run = &c.run,
		.time_ms = ms,
		.output = on_output,
		.is_over = is_over,
		.ctx = &c,
		.flood_bytes = WATCH_FLOOD_BYTES };
	buf_init(&path, j->arena);
	before = look_before(j, &path, c.run.key, sizeof(c.run.key), err);
	if (before != NULL) {
		order.workspace = buf_str(&path);
		rc = job_watch(j, &c.watch, &order, err);
	}
	if (rc == 0) {
		answer_end(&c);
		answer_changes(&c, before);
	}
	snapshot_free(&before);
	return rc;
}
