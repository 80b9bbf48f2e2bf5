/* SPDX-License-Identifier: MIT */
/*
 * The supervisor of a background job. It is started by the server but not its
 * child: it lives on when the server ends, and the command lives as long as
 * it does.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/process.h"
#include "conf/conf.h"
#include "sandboxd/job_files.h"
#include "sandboxd/jobs.h"
#include "sandboxd/launch.h"
#include "sandboxd/path.h"
#include "sandboxd/runner.h"
#include "sandboxd/tree.h"
#include "sandboxd/watch.h"
#include "sandboxd/workspace.h"

#define JOB_DIR 3
#define NETWORK 4
#define COMMAND_BYTES (1u << 20)

struct supervisor {
	const struct conf *conf;
	int root; /* the workspace's files */
	int output;
	off_t written;
	struct run run;
	struct watch watch;
};

static struct supervisor *the_one;

/* SIGTERM: the job is to end. Async-signal-safe. */
static void
on_term(int sig)
{
	uint64_t one = 1;
	ssize_t n;

	(void)sig;
	run_end_set(&the_one->run, RUN_CANCELLED);
	n = write(the_one->run.wake_fd, &one, sizeof(one));
	(void)n;
}

static void
on_output(void *ctx, const char *p, size_t len)
{
	struct supervisor *s = ctx;
	off_t room = s->conf->sandbox_max_file_bytes - s->written;
	ssize_t n;

	if (room <= 0)
		return;
	n = write(s->output, p, (off_t)len < room ? len : (size_t)room);
	if (n > 0)
		s->written += n;
}

/* Nobody has asked for anything of the agent for too long: workspace_enter
 * touches its directory. */
static int
is_idle(const struct supervisor *s)
{
	struct stat st;

	return s->conf->sandbox_job_idle_ms > 0 &&
	       fstatat(JOB_DIR, "../..", &st, 0) == 0 &&
	       clk_wall_ms() - st.st_mtim.tv_sec * 1000LL >
		   s->conf->sandbox_job_idle_ms;
}

static int
is_over(void *ctx)
{
	struct supervisor *s = ctx;
	struct usage u;

	if (is_idle(s))
		run_end_set(&s->run, RUN_IDLE);
	return tree_usage(s->root, &u, NULL) == 0 && usage_is_over(s->conf, &u);
}

static void
write_status(struct supervisor *s)
{
	enum run_end end = run_end_of(&s->run);
	struct buf b;

	buf_init(&b, NULL);
	json_open(&b, NULL, '{');
	if (end == RUN_GOES_ON)
		json_add_int(&b, "code", watch_code(&s->watch));
	json_add_str(&b, "end", run_end_name(end));
	json_add_int(&b, "bytes", (int64_t)s->watch.printed);
	json_close(&b, '}');
	job_file_write(JOB_DIR, "status", b.data, b.len);
	buf_fini(&b);
}

static void
write_pid(void)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%d %llu", (int)getpid(),
	    process_start_time(getpid()));

	job_file_write(JOB_DIR, "pid", text, (size_t)n);
}

static int
prepare(struct supervisor *s)
{
	struct sigaction sa = { .sa_handler = on_term };
	sigset_t none;

	the_one = s;
	s->run.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->output = openat(
	    JOB_DIR, "output", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	sigaction(SIGTERM, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return s->run.wake_fd < 0 || s->output < 0 ? -1 : 0;
}

int
job_supervise(const struct conf *c, const char *key, int has_network)
{
	struct supervisor s = { .conf = c, .root = -1 };
	struct arena *a = arena_open(4096);
	struct order order = { .network = has_network ? NETWORK : -1 };
	char path[PATH_MAX];
	struct launcher *l;
	struct err err;
	int ready, rc = EX_SOFTWARE;

	fcntl(JOB_DIR, F_SETFD, FD_CLOEXEC);
	if (has_network)
		fcntl(NETWORK, F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_NAME, "sandbox-super");
	ready = process_detach();
	snprintf(path, sizeof(path), "%s/%s/files", c->sandbox_workspaces, key);
	order.workspace = path;
	order.command = job_file_read(a, JOB_DIR, "command", COMMAND_BYTES);
	s.root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	l = launcher_new(c, 0, &err);
	s.watch = (struct watch){ .run = &s.run,
		.time_ms = c->sandbox_job_time_ms,
		.output = on_output,
		.is_over = is_over,
		.ctx = &s };
	if (l != NULL && order.command != NULL && s.root >= 0 &&
	    prepare(&s) == 0) {
		write_pid();
		if (watch_start(&s.watch, l, &order, &err) == 0) {
			if (write(ready, "", 1) != 1)
				log_warn("nobody waited for the job");
			close(ready);
			watch_until_end(&s.watch);
			write_status(&s);
			rc = EX_OK;
		}
	}
	if (rc != EX_OK)
		log_error("a background job was not started");
	launcher_free(&l);
	arena_close(&a);
	return rc;
}
