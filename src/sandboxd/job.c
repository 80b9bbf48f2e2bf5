/* SPDX-License-Identifier: MIT */
/* The table of operations, and what they have in common. */
#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "conf/conf.h"
#include "sandboxd/job.h"
#include "sandboxd/network.h"
#include "sandboxd/path.h"
#include "sandboxd/runner.h"
#include "sandboxd/runs.h"
#include "sandboxd/watch.h"

static int
delete_agent(struct job *j, const char *agent, struct err *err)
{
	char key[WORKSPACE_KEY_SIZE];

	if (workspace_name(j->user, agent, key, err) < 0)
		return -1;
	runs_end_workspace(j->runs, key);
	return workspace_delete(j->workspaces, j->user, agent, err);
}

static int
ws_delete(struct job *j, struct err *err)
{
	return delete_agent(j, j->agent, err);
}

/* Ends, as none that was deleted is made again. */
static int
ws_delete_all(struct job *j, struct err *err)
{
	char agent[WORKSPACE_AGENT_SIZE];
	int rc;

	while ((rc = workspace_any(j->workspaces, j->user, agent, err)) > 0)
		if (delete_agent(j, agent, err) < 0)
			return -1;
	return rc;
}

static int
ws_copy(struct job *j, struct err *err)
{
	return workspace_copy(
	    j->workspaces, j->user, j->agent, json_get_str(j->rq, "to"), err);
}

static int
ws_usage(struct job *j, struct err *err)
{
	struct usage u;

	if (workspace_usage(&j->ws, &u, err) < 0)
		return -1;
	json_add_int(&j->answer, "bytes", u.bytes);
	json_add_int(&j->answer, "files", u.files);
	return 0;
}

#define TOOL (WORKSPACE_MAKE | WORKSPACE_ALONE)

static const struct op ops[] = {
	{ "ping", ping, OP_NO_WORKSPACE },
	{ "ws.delete", ws_delete, OP_NO_WORKSPACE },
	{ "ws.delete_all", ws_delete_all, OP_NO_WORKSPACE },
	{ "ws.copy", ws_copy, OP_NO_WORKSPACE },
	{ "ws.usage", ws_usage, WORKSPACE_LOOK },
	{ "ws.trim", ws_trim, WORKSPACE_ALONE | WORKSPACE_LOOK },
	{ "ws.scan", ws_scan, WORKSPACE_LOOK },
	{ "ws.read", fs_get, WORKSPACE_LOOK },
	{ "ws.restore", ws_restore, OP_NO_WORKSPACE },
	{ "bash.run", bash_run, OP_NO_WORKSPACE | OP_LONG },
	{ "pipe.open", pipe_open, OP_NO_WORKSPACE | OP_STAYS },
	{ "pipe.write", pipe_write, OP_NO_WORKSPACE },
	{ "bash.start", bash_start, TOOL },
	{ "bash.logs", bash_logs, 0 },
	{ "bash.list", bash_list, 0 },
	{ "bash.kill", bash_kill, 0 },
	{ "fs.read", fs_read, TOOL },
	{ "fs.write", fs_write, TOOL },
	{ "fs.edit", fs_edit, TOOL },
	{ "fs.glob", fs_glob, WORKSPACE_MAKE },
	{ "fs.grep", fs_grep, WORKSPACE_MAKE },
	{ "fs.list", fs_list, 0 },
	{ "fs.get", fs_get, 0 },
	{ "fs.tar", fs_tar, 0 },
	{ "fs.put", fs_put, TOOL },
	{ "fs.delete", fs_delete, WORKSPACE_ALONE },
};

const struct op *
op_find(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof(ops) / sizeof(*ops); i++)
		if (strcmp(ops[i].name, name) == 0)
			return &ops[i];
	return NULL;
}

void
job_run(struct job *j)
{
	int enters = (j->op->flags & OP_NO_WORKSPACE) == 0, rc;

	if (json_get_true(j->rq, "there") &&
	    workspace_is_missing(j->workspaces, j->user, j->agent)) {
		j->missing = 1;
		err_set(&j->err, ERR_NOT_FOUND, "the agent has no files yet");
		return;
	}
	if (enters && workspace_enter(j->workspaces, j->user, j->agent,
			  j->op->flags, &j->ws, &j->err) < 0)
		return;
	rc = j->op->run(j, &j->err);
	if (rc == 0)
		err_clear(&j->err);
	if (enters)
		workspace_leave(j->workspaces, &j->ws);
}

/* ---- commands ---- */

const char *
job_command(struct job *j, struct err *err)
{
	const char *text = json_get_str(j->rq, "command");

	if (text == NULL || *text == '\0') {
		err_set(err, ERR_INVALID, "the command is empty");
		return NULL;
	}
	if (j->launcher == NULL) {
		err_set(err, ERR_INVALID, "%s", j->no_launcher);
		return NULL;
	}
	return text;
}

int
job_is_over_quota(struct job *j)
{
	int over;

	if (workspace_enter(j->workspaces, j->user, j->agent, 0, &j->ws, NULL) <
	    0)
		return 0;
	over = workspace_is_over(&j->ws);
	workspace_leave(j->workspaces, &j->ws);
	return over;
}

/* One that was to end before it was among the runs ends at once. */
static void
check_stop(struct job *j, struct run *run)
{
	if (__atomic_load_n(j->gone, __ATOMIC_SEQ_CST) ||
	    __atomic_load_n(&j->cancelled, __ATOMIC_SEQ_CST))
		run_end_set(run, RUN_CANCELLED);
}

int
job_watch(struct job *j, struct watch *w, struct order *o, struct err *err)
{
	int rc;

	if (network_open(
		j->conf, json_get(j->rq, "network"), &o->network, err) < 0)
		return -1;
	runs_add(j->runs, w->run);
	check_stop(j, w->run);
	rc = watch_start(w, j->launcher, o, err);
	if (rc == 0)
		watch_until_end(w);
	runs_remove(j->runs, w->run);
	if (o->network >= 0)
		close(o->network);
	return rc;
}

/* ---- members of requests and answers ---- */

const char *
job_path(struct job *j, const char *name, struct err *err)
{
	return path_relative(j->arena, json_get_str(j->rq, name), err);
}

int
job_int(struct job *j, const char *name, long long min, long long max,
    long long fallback, long long *out_r, struct err *err)
{
	const struct json *v = json_get(j->rq, name);
	int64_t n;

	*out_r = fallback;
	if (v == NULL || json_is(v, JSON_NULL))
		return 0;
	if (!json_int(v, &n) || n < min || n > max)
		return err_set(err, ERR_INVALID,
		    "%s is a whole number from %lld to %lld", name, min, max);
	*out_r = n;
	return 0;
}

void
job_etag(struct buf *b, const struct stat *st)
{
	buf_printf(b, ",\"etag\":\"%" PRIx64 "-%" PRIx64 "-%lx%09lx\"",
	    (uint64_t)st->st_ino, (uint64_t)st->st_size,
	    (long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

int
is_text(const char *p, size_t len)
{
	return memchr(p, '\0', len) == NULL && json_utf8_whole(p, len) == len;
}
