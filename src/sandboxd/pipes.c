/* SPDX-License-Identifier: MIT */
/*
 * pipe.open: a program that is talked to, by its standard input and output.
 * It lives as long as the call: what it prints comes in parts, and pipe.write
 * brings what it is to read. MCP servers are such programs.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "conf/conf.h"
#include "sandboxd/job.h"
#include "sandboxd/runner.h"
#include "sandboxd/runs.h"
#include "sandboxd/watch.h"

#define NAME_BYTES_MAX 64
#define ERRORS_BYTES 2048 /* of the end of what it says there */

struct program {
	struct job *job;
	struct run run;
	struct run_input input;
	struct watch watch;
	struct buf errors;
};

static void
on_output(void *ctx, const char *p, size_t len)
{
	struct program *pr = ctx;

	pr->job->emit(pr->job, p, len);
}

static void
on_errors(void *ctx, const char *p, size_t len)
{
	struct program *pr = ctx;

	buf_add(&pr->errors, p, len);
	if (pr->errors.len > ERRORS_BYTES)
		buf_consume(&pr->errors, pr->errors.len - ERRORS_BYTES);
}

/* Who writes to it has read what it printed before. */
static void
on_input(void *ctx, struct buf *b)
{
	struct program *pr = ctx;

	if (runs_take_input(pr->job->runs, &pr->run, b))
		pr->watch.printed = 0;
}

static int
is_over(void *ctx)
{
	struct program *pr = ctx;

	return job_is_over_quota(pr->job);
}

static const char *
pipe_name(struct job *j, struct err *err)
{
	const char *name = json_get_str(j->rq, "pipe");

	if (name != NULL && *name != '\0' && strlen(name) <= NAME_BYTES_MAX)
		return name;
	err_set(err, ERR_INVALID, "pipe is a name of up to %d bytes",
	    NAME_BYTES_MAX);
	return NULL;
}

/* Its workspace, made if need be: the path, and the key in pr->run. */
static int
find_workspace(struct program *pr, struct buf *path, struct err *err)
{
	struct job *j = pr->job;

	if (workspace_enter(j->workspaces, j->user, j->agent, WORKSPACE_MAKE,
		&j->ws, err) < 0)
		return -1;
	workspace_path(&j->ws, path);
	snprintf(pr->run.key, sizeof(pr->run.key), "%s", workspace_key(&j->ws));
	workspace_leave(j->workspaces, &j->ws);
	return 0;
}

static void
answer_end(struct program *pr)
{
	struct buf *b = &pr->job->answer;
	size_t len = json_utf8_whole(pr->errors.data, pr->errors.len);

	json_add_int(b, "code", watch_code(&pr->watch));
	json_add_str(b, "end", run_end_name(run_end_of(&pr->run)));
	json_add_strn(b, "errors", buf_str(&pr->errors), len);
}

int
pipe_open(struct job *j, struct err *err)
{
	struct program pr = { .job = j,
		.run = { .connection = j->connection,
		    .id = j->id,
		    .input = &pr.input },
		.input = { .name = pipe_name(j, err) } };
	struct order order = { 0 };
	struct buf path;
	int rc;

	if (pr.input.name == NULL)
		return -1;
	order.command = job_command(j, err);
	if (order.command == NULL)
		return -1;
	pr.watch = (struct watch){ .run = &pr.run,
		.time_ms = j->conf->sandbox_job_time_ms,
		.output = on_output,
		.input = on_input,
		.errors = on_errors,
		.is_over = is_over,
		.ctx = &pr,
		.flood_bytes = WATCH_FLOOD_BYTES };
	buf_init(&path, j->arena);
	buf_init(&pr.errors, j->arena);
	buf_init(&pr.input.bytes, NULL);
	if (find_workspace(&pr, &path, err) < 0)
		return -1;
	order.workspace = buf_str(&path);
	rc = job_watch(j, &pr.watch, &order, err);
	buf_fini(&pr.input.bytes);
	if (rc == 0)
		answer_end(&pr);
	return rc;
}

int
pipe_write(struct job *j, struct err *err)
{
	const char *name = pipe_name(j, err);
	char key[WORKSPACE_KEY_SIZE];

	if (name == NULL || workspace_name(j->user, j->agent, key, err) < 0)
		return -1;
	return runs_write(j->runs, key, name, j->data, j->data_len, err);
}
