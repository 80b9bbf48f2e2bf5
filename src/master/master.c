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
 *
 * SIGHUP reads the configuration again (reload.c); SIGUSR2 starts another
 * program in this one's place (upgrade.c).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/err.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/process.h"
#include "conf/conf.h"
#include "master/listen.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/reload.h"
#include "master/status.h"
#include "master/upgrade.h"

#define FINISH_GRACE_MS 3000 /* for a worker to leave after its drain */
#define TERM_GRACE_MS 3000

enum master_state {
	MASTER_NORMAL,
	MASTER_FINISHING,
	MASTER_TERMINATING,
	MASTER_KILLING
};

struct master {
	struct pool *pool;
	struct reload *reload;
	struct status status;
	struct listener listener;
	struct listener ctl;     /* fd -1: there is none */
	struct upgrade next;     /* the master that is to take over */
	struct upgrade old;      /* the one that this one takes over from */
	int next_hup, next_usr1; /* these came while next was starting */
	int exit_code;
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
	int64_t grace[] = { 0,
		pool_conf(m->pool)->drain_timeout_ms + FINISH_GRACE_MS,
		TERM_GRACE_MS, TERM_GRACE_MS };

	if (s <= m->state && s != MASTER_KILLING)
		return;
	log_info("state %s -> %s, %d workers", state_name(m->state),
	    state_name(s), pool_running(m->pool));
	if (m->state == MASTER_NORMAL && !m->next.ready)
		status_stopping();
	m->state = s;
	m->deadline_ms = clk_mono_ms() + grace[s];
	upgrade_cancel(&m->next);
	reload_cancel(m->reload);
	pool_stop_starting(m->pool);
	pool_signal(m->pool, signals[s]);
}

static void
master_check_deadline(struct master *m, int64_t now_ms)
{
	if (now_ms < m->deadline_ms)
		return;
	master_enter(m,
	    m->state == MASTER_FINISHING ? MASTER_TERMINATING : MASTER_KILLING);
}

static void
master_reload(struct master *m)
{
	if (m->state != MASTER_NORMAL)
		return;
	if (upgrade_is_pending(&m->next)) {
		m->next_hup = 1;
		log_info("reload: when the new program serves");
		return;
	}
	status_reloading(&m->status);
	reload_ask(m->reload, clk_mono_ms());
}

static void
master_reap(struct master *m)
{
	int64_t now = clk_mono_ms();
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pool_reaped(m->pool, pid, status, now))
			upgrade_tell_look(&m->next);
		else if (!reload_reaped(m->reload, pid, status, now) &&
			 upgrade_reaped(&m->next, pid, status) && m->next_hup)
			master_reload(m);
	}
}

static void
master_upgrade(struct master *m)
{
	struct err err;

	if (m->state != MASTER_NORMAL || m->next.pid > 0)
		return;
	if (reload_is_busy(m->reload) || !pool_is_ready(m->pool)) {
		log_warn("upgrade: workers are being replaced; ask again");
		return;
	}
	if (upgrade_start(&m->next, &m->listener, &m->ctl,
		pool_conf(m->pool)->file, pool_board_fd(m->pool), clk_mono_ms(),
		&err) < 0) {
		log_error("upgrade: %s; this one goes on", err.text);
		m->next.pid = 0;
		return;
	}
	m->next_hup = m->next_usr1 = 0;
	log_info("upgrade: started pid %d", (int)m->next.pid);
}

/* The next one serves. What it has said to the manager so far was not heard,
 * so that the watchdog begins anew with it. */
static void
master_hand_over(struct master *m)
{
	log_info("upgrade: pid %d takes over", (int)m->next.pid);
	notify_send("MAINPID=%d\nWATCHDOG=1", (int)m->next.pid);
	if (m->next_usr1)
		kill(m->next.pid, SIGUSR1);
	if (m->next_hup)
		kill(m->next.pid, SIGHUP);
	/* Their files are the next one's. */
	m->listener.inherited = m->ctl.inherited = 1;
	master_enter(m, MASTER_FINISHING);
}

/* One that takes over: tells when it serves, or gives up. */
static void
master_take_over(struct master *m)
{
	if (m->old.fd < 0 || m->old.ready)
		return;
	if (pool_is_ready(m->pool)) {
		upgrade_tell_ready(&m->old);
	} else if (pool_deaths(m->pool) > 0) {
		log_error("upgrade: a worker died; the old program goes on");
		m->exit_code = EX_SOFTWARE;
		master_enter(m, MASTER_TERMINATING);
	}
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
		case SIGHUP:
			master_reload(m);
			break;
		case SIGUSR1:
			m->next_usr1 = 1;
			log_file_reopen();
			pool_signal(m->pool, SIGUSR1);
			break;
		case SIGUSR2:
			master_upgrade(m);
			break;
		default: /* SIGCHLD: every wake-up reaps */
			break;
		}
	}
}

/* The sooner of two times from now, of which -1 is never. */
static int64_t
sooner(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

static int
master_timeout_ms(const struct master *m)
{
	int64_t now = clk_mono_ms(), left = m->deadline_ms - now;

	if (m->state != MASTER_NORMAL)
		return left < 0 ? 0 : (int)left;
	left = m->status.next_ms - now;
	left = sooner(left < 0 ? 0 : left, reload_next_due_ms(m->reload, now));
	return (int)sooner(left, pool_next_due_ms(m->pool, now));
}

static void
master_tick(struct master *m)
{
	int64_t now = clk_mono_ms();

	if (m->state != MASTER_NORMAL) {
		master_check_deadline(m, now);
		return;
	}
	pool_tick(m->pool, now);
	upgrade_tick(&m->next, now);
	master_take_over(m);
	reload_tick(m->reload, now);
	status_tick(&m->status, m->pool, reload_is_busy(m->reload), now);
}

static void
master_loop(struct master *m)
{
	struct pollfd pfd[5] = { { .events = POLLIN }, { .events = POLLIN },
		{ .events = POLLIN }, { .events = POLLIN },
		{ .events = POLLIN } };
	int awaits;

	while (m->state == MASTER_NORMAL || pool_running(m->pool) > 0) {
		pfd[0].fd = m->signal_fd;
		pfd[1].fd = m->next.fd;
		pfd[2].fd = m->old.fd;
		awaits = pool_awaits_connection(m->pool);
		pfd[3].fd = awaits ? m->listener.fd : -1;
		pfd[4].fd = awaits ? m->ctl.fd : -1;
		if (poll(pfd, 5, master_timeout_ms(m)) < 0 && errno != EINTR)
			log_error("poll: %s", strerror(errno));
		master_signalled(m);
		if (pfd[1].revents != 0 && upgrade_hear(&m->next) &&
		    m->state == MASTER_NORMAL)
			master_hand_over(m);
		if (pfd[2].revents != 0 && upgrade_hear_look(&m->old))
			pool_look(m->pool);
		if (pfd[3].revents != 0 || pfd[4].revents != 0)
			pool_connection(m->pool);
		master_reap(m);
		master_tick(m);
	}
}

static int
signals_open(struct err *err)
{
	static const int signals[] = { SIGCHLD, SIGQUIT, SIGTERM, SIGINT,
		SIGHUP, SIGUSR1, SIGUSR2, 0 };
	int fd = process_signals(signals);

	if (fd < 0)
		err_set(err, ERR_INTERNAL, "signalfd: %s", strerror(errno));
	return fd;
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

/* The exit code of a start that failed. */
static int
fail(const struct err *err)
{
	log_error("%s", err->text);
	return err_info(err->code)->exit_code;
}

/* The sockets' files stay, however this one ends, while they are another's. */
static void
master_close_listeners(struct master *m)
{
	if (m->old.fd >= 0 && !m->old.ready)
		m->listener.inherited = m->ctl.inherited = 1;
	listener_close(&m->listener);
	listener_close(&m->ctl);
}

/* With a listener that is open. */
static int
master_serve(struct master *m, struct conf *c, int conf_fd, int ready_fd)
{
	struct listener *l = &m->listener;
	struct err err;
	int board;

	m->pool = pool_new(c, conf_fd, l->fd, m->ctl.fd, &err);
	if (m->pool == NULL) {
		master_close_listeners(m);
		return fail(&err);
	}
	board = m->old.fd < 0 ? -1 : upgrade_take_board(&m->old);
	if (board >= 0)
		pool_adopt(m->pool, board);
	m->reload = reload_new(m->pool);
	log_info("agent-fpm %s serves %s with %d workers", PACKAGE_VERSION,
	    l->inherited ? "an inherited socket" : l->path, pool_size(m->pool));
	pool_tick(m->pool, clk_mono_ms());
	tell_ready(ready_fd);
	master_loop(m);
	log_info("stopped");
	reload_free(&m->reload);
	pool_free(&m->pool);
	master_close_listeners(m);
	upgrade_close(&m->next);
	upgrade_close(&m->old);
	close(m->signal_fd);
	return m->exit_code;
}

static int
master_init(struct master *m, struct err *err)
{
	memset(m, 0, sizeof(*m));
	m->next.fd = m->old.fd = m->listener.fd = m->ctl.fd = -1;
	log_name_set("master");
	notify_init();
	process_raise_descriptors(); /* every open stream is one */
	m->signal_fd = signals_open(err);
	return m->signal_fd < 0 ? -1 : 0;
}

int
master_run(struct conf *c, int conf_fd, int ready_fd)
{
	struct master m;
	struct err err;

	if (master_init(&m, &err) < 0 ||
	    listener_open(c, &m.listener, &err) < 0 ||
	    listener_open_ctl(c, &m.ctl, &err) < 0) {
		listener_close(&m.listener);
		conf_free(&c);
		close(conf_fd);
		return fail(&err);
	}
	return master_serve(&m, c, conf_fd, ready_fd);
}

/* The one that was passed, or if there is none one of its own. */
static int
succeed_ctl(
    const struct conf *c, const char *path, struct listener *l, struct err *err)
{
	return *path == '\0' ? listener_open_ctl(c, l, err)
			     : listener_adopt(SUCCESSOR_FD_CTL, path, l, err);
}

int
master_succeed(
    struct conf *c, int conf_fd, const char *path, const char *ctl_path)
{
	struct master m;
	struct err err;

	if (master_init(&m, &err) < 0 ||
	    listener_adopt(SUCCESSOR_FD_LISTEN, path, &m.listener, &err) < 0 ||
	    succeed_ctl(c, ctl_path, &m.ctl, &err) < 0) {
		conf_free(&c);
		close(conf_fd);
		return fail(&err);
	}
	m.old.fd = SUCCESSOR_FD_PARENT;
	fcntl(m.old.fd, F_SETFD, FD_CLOEXEC);
	return master_serve(&m, c, conf_fd, -1);
}
