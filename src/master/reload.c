/* SPDX-License-Identifier: MIT */
/*
 * SIGHUP: the configuration is read again, and new workers take the place of
 * the old ones. Nothing happens to those that serve until the new ones do.
 *
 *   idle -> checking -> starting -> idle
 *
 * checking: a child of this program reads a copy of the file, and all that it
 * names, as -t does; it, and not the master, may die of what it finds. Its
 * lines in the log say what is wrong. Then the same copy is what the new
 * workers get.
 * starting: the pool has a new generation (pool.c), and tells how that went.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/spawn.h"
#include "conf/conf.h"
#include "master/pool.h"
#include "master/reload.h"

#define CHECK_MS 30000 /* for the child */

enum reload_state { RELOAD_IDLE, RELOAD_CHECKING, RELOAD_STARTING };

struct reload {
	struct pool *pool;
	enum reload_state state;
	int again;
	int conf_fd; /* while checking */
	pid_t checker;
	int64_t deadline_ms;
};

int
reload_snapshot(const char *path, struct err *err)
{
	int in = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int out = memfd_create("agent-fpm.conf", MFD_CLOEXEC);
	char chunk[8192];
	struct stat st;
	ssize_t n = in < 0 || out < 0 || fstat(in, &st) < 0 ? -1 : 0;

	/* The master waits for nobody who would write into a FIFO. */
	if (n == 0 && !S_ISREG(st.st_mode)) {
		errno = EINVAL;
		n = -1;
	}
	while (n >= 0 && (n = read(in, chunk, sizeof(chunk))) > 0)
		if (write(out, chunk, (size_t)n) != n)
			n = -1;
	if (n < 0)
		err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
	if (in >= 0)
		close(in);
	if (n < 0 && out >= 0)
		close(out);
	return n < 0 ? -1 : out;
}

struct reload *
reload_new(struct pool *p)
{
	struct reload *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	r->pool = p;
	r->conf_fd = -1;
	return r;
}

void
reload_free(struct reload **r_p)
{
	struct reload *r = *r_p;

	if (r == NULL)
		return;
	*r_p = NULL;
	reload_cancel(r);
	free(r);
}

static void
refuse(struct reload *r, const char *why)
{
	log_error("reload: %s; the old configuration stays", why);
	if (r->conf_fd >= 0)
		close(r->conf_fd);
	r->conf_fd = -1;
	r->state = RELOAD_IDLE;
}

static pid_t
checker_start(struct reload *r, const char *path, struct err *err)
{
	char name[] = "agent-fpm", option[] = "--check", *file = strdup(path);
	char *argv[] = { name, option, file, NULL };
	struct spawn sp = {
		.path = "/proc/self/exe",
		.argv = argv,
		.env = environ,
		.fds = { r->conf_fd },
		.fd_count = 1,
	};
	pid_t pid = spawn_start(&sp, err);

	free(file);
	return pid;
}

static void
reload_begin(struct reload *r, int64_t now_ms)
{
	const char *path = pool_conf(r->pool)->file;
	struct err err;

	log_info("reload: reading %s", path);
	r->conf_fd = reload_snapshot(path, &err);
	r->checker = r->conf_fd < 0 ? -1 : checker_start(r, path, &err);
	if (r->checker < 0) {
		refuse(r, err.text);
		return;
	}
	r->state = RELOAD_CHECKING;
	r->deadline_ms = now_ms + CHECK_MS;
}

void
reload_ask(struct reload *r, int64_t now_ms)
{
	if (r->state == RELOAD_IDLE)
		reload_begin(r, now_ms);
	else
		r->again = 1;
}

/* What only a start can change. */
static void
warn_fixed(const struct conf *old, const struct conf *new)
{
	if (strcmp(old->listen, new->listen) != 0 ||
	    strcmp(old->listen_owner, new->listen_owner) != 0 ||
	    strcmp(old->listen_group, new->listen_group) != 0 ||
	    old->listen_mode != new->listen_mode ||
	    old->listen_backlog != new->listen_backlog)
		log_warn("reload: the socket stays as it is; what is new of "
			 "listen takes a restart");
	if (*old->log_file != '\0' && *new->log_file == '\0')
		log_warn("reload: the log goes on in %s until a restart",
		    old->log_file);
}

/* It is good: to the new workers with it. */
static void
reload_start(struct reload *r, int64_t now_ms)
{
	const struct conf *old = pool_conf(r->pool);
	struct buf problems;
	struct conf *c;
	struct err err;

	buf_init(&problems, NULL);
	c = conf_load(old->file, r->conf_fd, &problems, &err);
	buf_fini(&problems);
	if (c == NULL) {
		refuse(r, err.text);
		return;
	}
	warn_fixed(old, c);
	log_level_set((enum log_level)c->log_level);
	pool_reload(r->pool, c, r->conf_fd, now_ms);
	r->conf_fd = -1;
	r->state = RELOAD_STARTING;
}

int
reload_reaped(struct reload *r, pid_t pid, int status, int64_t now_ms)
{
	if (r->state != RELOAD_CHECKING || pid != r->checker)
		return 0;
	r->checker = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		reload_start(r, now_ms);
	else
		refuse(r, "the new configuration is not good");
	return 1;
}

/* The log is that of those who serve. */
static void
settle_log(const struct conf *c)
{
	struct err err;

	log_level_set((enum log_level)c->log_level);
	if (log_file_set(c->log_file, &err) < 0)
		log_error("reload: %s", err.text);
}

int
reload_tick(struct reload *r, int64_t now_ms)
{
	if (r->state == RELOAD_CHECKING && now_ms >= r->deadline_ms) {
		log_error("reload: checking takes too long");
		kill(r->checker, SIGKILL); /* its end is the reload's */
		r->deadline_ms = now_ms + CHECK_MS;
	}
	if (r->state == RELOAD_STARTING &&
	    pool_reload_state(r->pool) != POOL_RELOADING) {
		settle_log(pool_conf(r->pool));
		r->state = RELOAD_IDLE;
	}
	if (r->state != RELOAD_IDLE || !r->again)
		return r->state == RELOAD_IDLE;
	r->again = 0;
	reload_begin(r, now_ms);
	return 0;
}

int64_t
reload_next_due_ms(const struct reload *r, int64_t now_ms)
{
	if (r->state != RELOAD_CHECKING)
		return -1;
	return r->deadline_ms < now_ms ? 0 : r->deadline_ms - now_ms;
}

int
reload_is_busy(const struct reload *r)
{
	return r->state != RELOAD_IDLE;
}

void
reload_cancel(struct reload *r)
{
	if (r->state == RELOAD_CHECKING && r->checker > 0)
		kill(r->checker, SIGKILL);
	if (r->conf_fd >= 0)
		close(r->conf_fd);
	r->conf_fd = -1;
	r->again = 0;
	r->state = RELOAD_IDLE;
}
