/* SPDX-License-Identifier: MIT */
/*
 * A command from its begin to its end. One thread waits for it: for what it
 * prints, for its end, for its time to be over, or for somebody to stop it;
 * and looks now and then whether the workspace has become too large.
 *
 * The workspace is not locked meanwhile, only looked at before and after.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "conf/conf.h"
#include "sandboxd/job.h"
#include "sandboxd/launch.h"
#include "sandboxd/runs.h"
#include "sandboxd/snapshot.h"

#define KEPT_BYTES (8u << 20)
#define FLOOD_BYTES (64u << 20)
#define LOOK_EVERY_MS 500 /* at the size of the workspace */
#define CHANGES_MAX 100
#define READ_BYTES 65536

struct command {
	struct job *job;
	struct run run;
	pid_t pid;
	int pid_fd, out_fd;
	size_t printed;
	int64_t started_ms, deadline_ms, look_ms;
	int status;
	int changes;
};

static const char *const end_names[] = {
	[RUN_GOES_ON] = "ended",
	[RUN_TIMED_OUT] = "timeout",
	[RUN_CANCELLED] = "cancelled",
	[RUN_DELETED] = "deleted",
	[RUN_QUOTA] = "quota",
	[RUN_FLOOD] = "output",
};

/* ---- while it runs ---- */

/* 0 there may be more, -1 that was all. */
static int
read_output(struct command *c)
{
	struct buf *out = &c->job->answer_data;
	char chunk[READ_BYTES];
	ssize_t n = read(c->out_fd, chunk, sizeof(chunk));
	size_t room = KEPT_BYTES - out->len;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	c->printed += (size_t)n;
	buf_add(out, chunk, (size_t)n < room ? (size_t)n : room);
	if (c->printed > FLOOD_BYTES)
		run_end_set(&c->run, RUN_FLOOD);
	return 0;
}

static void
look_at_size(struct command *c, int64_t now)
{
	struct job *j = c->job;
	struct err err;

	if (now < c->look_ms)
		return;
	c->look_ms = now + LOOK_EVERY_MS;
	if (workspace_enter(j->workspaces, j->user, j->agent, 0, &j->ws, &err) <
	    0)
		return;
	if (workspace_is_over(&j->ws))
		run_end_set(&c->run, RUN_QUOTA);
	workspace_leave(j->workspaces, &j->ws);
}

static void
wait_for_end(struct command *c)
{
	struct pollfd p[3] = { { .fd = c->out_fd, .events = POLLIN },
		{ .fd = c->pid_fd, .events = POLLIN },
		{ .fd = c->run.wake_fd, .events = POLLIN } };
	int64_t now, wait;

	while (p[1].revents == 0 && run_end_of(&c->run) == RUN_GOES_ON) {
		now = clk_mono_ms();
		look_at_size(c, now);
		wait =
		    c->deadline_ms < c->look_ms ? c->deadline_ms : c->look_ms;
		if (poll(p, 3, wait > now ? (int)(wait - now) : 0) < 0 &&
		    errno != EINTR)
			break;
		if (p[0].revents != 0 && read_output(c) < 0)
			p[0].fd = -1;
		if (clk_mono_ms() >= c->deadline_ms)
			run_end_set(&c->run, RUN_TIMED_OUT);
	}
}

/* Its first process is the last to go: all others die with it. */
static void
end_all(struct command *c)
{
	kill(-c->pid, SIGKILL);
	kill(c->pid, SIGKILL);
	while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
		;
	fcntl(c->out_fd, F_SETFL, O_NONBLOCK);
	while (c->printed < FLOOD_BYTES) {
		size_t before = c->printed;

		if (read_output(c) < 0 || c->printed == before)
			break;
	}
}

/* ---- around it ---- */

static int
start(
    struct command *c, const char *workspace, const char *text, struct err *err)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_set(
		    err, ERR_INTERNAL, "no pipe: %s", strerror(errno));
	c->pid = launch(c->job->launcher, workspace, text, fd[1], err);
	close(fd[1]);
	c->out_fd = fd[0];
	c->pid_fd = c->pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pid_fd >= 0)
		return 0;
	close(fd[0]);
	if (c->pid > 0) {
		end_all(c);
		err_set(err, ERR_INTERNAL, "pidfd_open: %s", strerror(errno));
	}
	return -1;
}

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
	int code = WIFEXITED(c->status) ? WEXITSTATUS(c->status)
					: 128 + WTERMSIG(c->status);

	json_add_int(b, "code", code);
	if (code > 128 && code < 128 + NSIG)
		json_add_int(b, "signal", code - 128);
	json_add_str(b, "end", end_names[run_end_of(&c->run)]);
	json_add_int(b, "bytes", (int64_t)c->printed);
	json_add_int(b, "ms", clk_mono_ms() - c->started_ms);
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
		.run = { .connection = j->connection, .id = j->id } };
	const char *text = json_get_str(j->rq, "command");
	struct snapshot *before;
	struct buf path;
	long long ms;
	int rc;

	if (text == NULL || *text == '\0')
		return err_set(err, ERR_INVALID, "the command is empty");
	if (job_int(j, "timeout_ms", 1, j->conf->sandbox_max_time_ms,
		j->conf->sandbox_command_time_ms, &ms, err) < 0)
		return -1;
	if (j->launcher == NULL)
		return err_set(err, ERR_INVALID, "%s", j->no_launcher);
	buf_init(&path, j->arena);
	before = look_before(j, &path, c.run.key, sizeof(c.run.key), err);
	if (before == NULL)
		return -1;
	runs_add(j->runs, &c.run);
	c.started_ms = clk_mono_ms();
	c.deadline_ms = c.started_ms + ms;
	c.look_ms = c.started_ms + LOOK_EVERY_MS;
	rc = start(&c, path.data, text, err);
	if (rc == 0) {
		wait_for_end(&c);
		end_all(&c);
		close(c.pid_fd);
		close(c.out_fd);
	}
	runs_remove(j->runs, &c.run);
	if (rc == 0) {
		answer_end(&c);
		answer_changes(&c, before);
	}
	snapshot_free(&before);
	return rc;
}
