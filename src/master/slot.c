/* SPDX-License-Identifier: MIT */
/*
 * One worker: started by exec of this same program, so it begins with a fresh
 * address space and no thread of the master's.
 *
 * A slot has a row of the scoreboard. A worker that dies is replaced at once,
 * in the same slot; its heir looks for the leases that the dead one held. One
 * that dies within a second of its start, again and again, is started after a
 * pause that doubles from 50 ms to 10 s: a broken installation must not burn
 * the host.
 *
 * A worker that is told to leave gets SIGQUIT, has its generation's
 * drain_timeout, and then SIGTERM and SIGKILL.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/scoreboard.h"
#include "base/spawn.h"
#include "conf/conf.h"
#include "master/pool_priv.h"

#define YOUNG_MS 1000
#define YOUNG_FREE 4 /* deaths in a row that are forgiven */
#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS 10000
#define QUIT_GRACE_MS 3000 /* to leave after its drain */
#define TERM_GRACE_MS 3000

int
slot_number(const struct pool *p, const struct slot *s)
{
	return (int)(s - p->slots);
}

struct slot *
slot_take(struct pool *p, struct generation *gen)
{
	int i = 0;

	while (i < POOL_SLOTS && p->slots[i].role != SLOT_FREE)
		i++;
	if (i == POOL_SLOTS)
		return NULL;
	if (i >= p->used) {
		p->used = i + 1;
		scoreboard_use(p->board, p->used);
	}
	p->slots[i] = (struct slot){ .role = SLOT_SERVING, .gen = gen };
	gen->slots++;
	return &p->slots[i];
}

void
slot_free(struct pool *p, struct slot *s)
{
	struct generation *gen = s->gen;

	scoreboard_row_clear(p->board, slot_number(p, s));
	*s = (struct slot){ .role = SLOT_FREE };
	if (--gen->slots == 0 && gen != p->now && gen != p->next)
		generation_free(&gen);
}

static int
slot_spawn(struct pool *p, struct slot *s, int64_t now_ms, struct err *err)
{
	int i = slot_number(p, s);
	char number[16];
	char name[] = "agent-fpm", option[] = "--worker";
	char *argv[] = { name, option, number, s->gen->conf->file, NULL };
	struct spawn sp = {
		.path = "/proc/self/exe",
		.argv = argv,
		.env = environ,
		.fds = { p->listen_fd, scoreboard_fd(p->board), s->gen->conf_fd,
		    p->alive[0], p->metrics_fd, p->ctl_fd },
		.fd_count = (p->ctl_fd < 0 ? WORKER_FD_CTL : WORKER_FD_END) -
			    WORKER_FD_LISTEN,
		.blocked = 1, /* none is lost while it begins */
	};
	struct board_worker *row = scoreboard_row(p->board, i);
	pid_t pid;

	snprintf(number, sizeof(number), "%d", i);
	scoreboard_row_clear(p->board, i);
	row->state = BOARD_STARTING;
	row->started_ms = now_ms;
	pid = spawn_start(&sp, err);
	if (pid < 0)
		return -1;
	row->pid = pid;
	s->pid = pid;
	s->started_ms = now_ms;
	return 0;
}

int
slot_start(struct pool *p, struct slot *s, int64_t now_ms)
{
	struct err err;

	if (slot_spawn(p, s, now_ms, &err) == 0)
		return 0;
	s->due_ms = now_ms + PAUSE_MAX_MS;
	log_error("worker %d: %s; next try in %d s", slot_number(p, s),
	    err.text, PAUSE_MAX_MS / 1000);
	return -1;
}

int
slot_is_ready(const struct pool *p, const struct slot *s)
{
	return s->pid != 0 &&
	       scoreboard_row(p->board, slot_number(p, s))->state ==
		   BOARD_READY;
}

int
slot_is_stuck(
    const struct pool *p, const struct slot *s, int64_t ms, int64_t now_ms)
{
	const struct board_worker *row =
	    scoreboard_row(p->board, slot_number(p, s));
	int64_t beat = row->beat_ms;

	if (beat < s->started_ms)
		beat = s->started_ms;
	return slot_is_ready(p, s) && now_ms - beat > ms;
}

int
slot_is_late(const struct pool *p, const struct slot *s, int64_t now_ms)
{
	const struct board_worker *row =
	    scoreboard_row(p->board, slot_number(p, s));

	/* One that ends by itself is not ready any more, and is not late. */
	return s->role != SLOT_LEAVING && s->pid != 0 &&
	       row->state == BOARD_STARTING &&
	       now_ms - s->started_ms > SLOT_READY_MS;
}

void
slot_give_up(struct slot *s, int64_t now_ms)
{
	log_error("pid %d is not ready after %d s: signal %d", (int)s->pid,
	    SLOT_READY_MS / 1000, SIGKILL);
	kill(s->pid, SIGKILL);
	s->started_ms = now_ms; /* so that it counts as one that died young */
}

static int64_t
pause_ms(int young_deaths)
{
	int n = young_deaths - YOUNG_FREE;

	if (n <= 0)
		return 0;
	if (n > 8)
		return PAUSE_MAX_MS;
	return PAUSE_FIRST_MS << (n - 1);
}

void
slot_died(struct slot *s, int64_t now_ms)
{
	s->pid = 0;
	if (now_ms - s->started_ms < YOUNG_MS)
		s->young_deaths++;
	else
		s->young_deaths = 0;
	s->due_ms = now_ms + pause_ms(s->young_deaths);
}

void
slot_leave(struct slot *s, int sig, int64_t now_ms)
{
	s->role = SLOT_LEAVING;
	s->signal = sig;
	s->deadline_ms = now_ms + TERM_GRACE_MS;
	if (sig == SIGQUIT)
		s->deadline_ms =
		    now_ms + s->gen->conf->drain_timeout_ms + QUIT_GRACE_MS;
	kill(s->pid, sig);
}

void
slot_press(struct slot *s, int64_t now_ms)
{
	int worse = s->signal == SIGQUIT ? SIGTERM : SIGKILL;

	log_warn("pid %d does not end: signal %d", (int)s->pid, worse);
	slot_leave(s, worse, now_ms);
}
