/* SPDX-License-Identifier: MIT */
/*
 * The master, as php-fpm's: it opens the socket, starts the workers, and
 * starts each again that dies. It knows no Redis, no HTTP and no JSON and has
 * one thread: it is the part that must not die.
 *
 * Signals come through a signalfd into one poll loop. Stopping is a ladder:
 *
 *   SIGQUIT   workers get SIGQUIT, drain_timeout to finish their turns,
 *             then SIGTERM, then SIGKILL
 *   SIGTERM   workers get SIGTERM, then SIGKILL
 *
 * A step comes when its deadline passes while workers are still there.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "master/listen.h"
#include "master/master.h"
#include "master/pool.h"

#define FINISH_GRACE_MS 3000 /* for a worker to leave after its drain */
#define TERM_GRACE_MS 3000

enum master_state {
	MASTER_NORMAL,
	MASTER_FINISHING,
	MASTER_TERMINATING,
	MASTER_KILLING
};

struct master {
	const struct conf *conf;
	struct pool *pool;
	enum master_state state;
	int64_t deadline_ms; /* of the state; 0: none */
	int signal_fd;
};

static const char *
state_name(enum master_state s)
{
	static const char *const names[] = { "normal", "finishing",
		"terminating", "killing" };

	return names[s];
}

/* Every way into a state but the first. */
static void
master_enter(struct master *m, enum master_state s)
{
	static const int signals[] = { 0, SIGQUIT, SIGTERM, SIGKILL };
	int64_t grace[] = { 0, m->conf->drain_timeout_ms + FINISH_GRACE_MS,
		TERM_GRACE_MS, TERM_GRACE_MS };

	if (s <= m->state && s != MASTER_KILLING)
		return;
	log_info("state %s -> %s, %d workers", state_name(m->state),
	    state_name(s), pool_running(m->pool));
	m->state = s;
	m->deadline_ms = clk_mono_ms() + grace[s];
	pool_stop_starting(m->pool);
	pool_signal(m->pool, signals[s]);
}

static void
master_check_deadline(struct master *m, int64_t now_ms)
{
	if (m->state == MASTER_NORMAL || now_ms < m->deadline_ms)
		return;
	master_enter(m,
	    m->state == MASTER_FINISHING ? MASTER_TERMINATING : MASTER_KILLING);
}

static void
master_reap(struct master *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		pool_reaped(m->pool, pid, status, clk_mono_ms());
}

static void
master_signalled(struct master *m)
{
	struct signalfd_siginfo si;

	while (read(m->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGQUIT:
			master_enter(m, MASTER_FINISHING);
			break;
		case SIGTERM:
		case SIGINT:
			master_enter(m, MASTER_TERMINATING);
			break;
		default: /* SIGCHLD: every wake-up reaps */
			break;
		}
	}
}

static int
master_timeout_ms(const struct master *m)
{
	int64_t now = clk_mono_ms(), next = pool_next_due_ms(m->pool, now);
	int64_t left = m->deadline_ms - now;

	if (m->state != MASTER_NORMAL)
		next = left < 0 ? 0 : left;
	return next < 0 ? -1 : (int)next;
}

static void
master_loop(struct master *m)
{
	struct pollfd pfd = { .fd = m->signal_fd, .events = POLLIN };

	while (m->state == MASTER_NORMAL || pool_running(m->pool) > 0) {
		pool_start_due(m->pool, clk_mono_ms());
		if (poll(&pfd, 1, master_timeout_ms(m)) < 0 && errno != EINTR)
			log_error("poll: %s", strerror(errno));
		master_signalled(m);
		master_reap(m);
		master_check_deadline(m, clk_mono_ms());
	}
}

static int
signals_open(struct err *err)
{
	sigset_t set;
	int fd;

	sigfillset(&set);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGABRT);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGILL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		err_set(err, ERR_INTERNAL, "signalfd: %s", strerror(errno));
	return fd;
}

/* Every open stream is a descriptor: take all that the host allows. */
static void
raise_fd_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		log_warn("descriptor limit: %s", strerror(errno));
}

static void
tell_ready(int ready_fd)
{
	if (ready_fd < 0)
		return;
	if (write(ready_fd, "r", 1) != 1)
		log_warn("nobody waits for the start of the pool");
	close(ready_fd);
}

int
master_run(const struct conf *c, int conf_fd, int ready_fd)
{
	struct master m = { .conf = c };
	struct listener l;
	struct err err;

	log_name_set("master");
	raise_fd_limit();
	m.signal_fd = signals_open(&err);
	if (m.signal_fd < 0 || listener_open(c, &l, &err) < 0) {
		log_error("%s", err.text);
		return err_info(err.code)->exit_code;
	}
	m.pool = pool_new(c, l.fd, conf_fd, &err);
	if (m.pool == NULL) {
		log_error("%s", err.text);
		listener_close(&l);
		return err_info(err.code)->exit_code;
	}
	log_info("agent-fpm %s serves %s with %d workers", PACKAGE_VERSION,
	    l.inherited ? "an inherited socket" : l.path, pool_size(m.pool));
	pool_start_due(m.pool, clk_mono_ms());
	tell_ready(ready_fd);
	master_loop(&m);
	log_info("stopped");
	pool_free(&m.pool);
	listener_close(&l);
	close(m.signal_fd);
	return 0;
}
