/* SPDX-License-Identifier: MIT */
/*
 * The pool: which workers there are, and who takes whose place.
 *
 * A worker belongs to a generation: those that were started with the same
 * configuration. A reload starts the next one beside the present one; both
 * accept from the same socket. When all of the next say in the scoreboard
 * that they are ready, those of the present are told to leave; if one dies
 * before, or they take too long, the next ones go and nothing has happened.
 *
 * There is one scoreboard for all generations, so limits per user hold across
 * a reload. Whoever is started takes the first slot that is free.
 *
 * A worker that leaves gives up its leases, or dies with them. Nobody is
 * started in its place who would look for them, so one that serves is told to
 * look when it is gone (SIGUSR2). Where none serves (pm = ondemand) one is
 * started for that, unless who left was idle.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/scoreboard.h"
#include "conf/conf.h"
#include "master/pool_priv.h"

#define LOOK_MS 10 /* whether somebody is ready */
#define OLD_MAX 3  /* generations that leave side by side */

/* ---- generations ---- */

static int
cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return CPU_COUNT(&set);
}

static struct generation *
generation_new(struct pool *p, struct conf *c, int conf_fd)
{
	struct generation *gen = calloc(1, sizeof(*gen));

	if (gen == NULL)
		abort();
	gen->conf = c;
	gen->conf_fd = conf_fd;
	gen->number = ++p->generations;
	scale_init(&gen->scale, c, cores());
	if (gen->scale.max > POOL_WORKERS_MAX)
		gen->scale.max = POOL_WORKERS_MAX;
	gen->want = gen->scale.start;
	if (gen->want > gen->scale.max)
		gen->want = gen->scale.max;
	return gen;
}

void
generation_free(struct generation **gen_p)
{
	struct generation *gen = *gen_p;

	if (gen == NULL)
		return;
	*gen_p = NULL;
	close(gen->conf_fd);
	conf_free(&gen->conf);
	free(gen);
}

/* How many serve, or of those with only_ready, are ready to. */
static int
generation_count(
    const struct pool *p, const struct generation *gen, int only_ready)
{
	const struct slot *s;
	int n = 0;

	for (int i = 0; i < p->used; i++) {
		s = &p->slots[i];
		if (s->role == SLOT_SERVING && s->gen == gen)
			n += !only_ready || slot_is_ready(p, s);
	}
	return n;
}

/* Starts every worker of it that is due. -1: one could not be started. */
static int
generation_fill(struct pool *p, struct generation *gen, int64_t now_ms)
{
	int n = generation_count(p, gen, 0), rc = 0;
	struct slot *s;

	while (n < gen->want && slot_take(p, gen) != NULL)
		n++;
	for (int i = 0; i < p->used; i++) {
		s = &p->slots[i];
		if (s->role == SLOT_SERVING && s->gen == gen && s->pid == 0 &&
		    s->due_ms <= now_ms && slot_start(p, s, now_ms) < 0)
			rc = -1;
	}
	return rc;
}

/* Ends all of a generation but those that were told already. */
static void
generation_leave(
    struct pool *p, struct generation *gen, int sig, int64_t now_ms)
{
	struct slot *s;

	gen->slots++; /* so that it does not go with one of them */
	for (int i = 0; i < p->used; i++) {
		s = &p->slots[i];
		if (s->role == SLOT_FREE || s->role == SLOT_LEAVING ||
		    s->gen != gen)
			continue;
		if (s->pid == 0)
			slot_free(p, s);
		else
			slot_leave(s, sig, now_ms);
	}
	if (--gen->slots == 0)
		generation_free(&gen);
}

/* ---- reloading ---- */

/* The next generation is none. */
static void
next_failed(struct pool *p, const char *why, int64_t now_ms)
{
	struct generation *gen = p->next;

	log_error("reload: %s; the old workers stay", why);
	p->next = NULL;
	p->reload = POOL_KEPT;
	generation_leave(p, gen, SIGTERM, now_ms);
}

/* Those that have left for so long that too many generations run at once stop
 * at their last commits; the youngest go on with their turns. */
static void
hurry_oldest(struct pool *p, int64_t now_ms)
{
	struct slot *s;

	for (int i = 0; i < p->used; i++) {
		s = &p->slots[i];
		if (s->role == SLOT_LEAVING && s->signal == SIGQUIT &&
		    s->gen->number < p->now->number - OLD_MAX)
			slot_leave(s, SIGTERM, now_ms);
	}
}

static void
next_takes_over(struct pool *p, int64_t now_ms)
{
	struct generation *old = p->now;

	log_info("generation %d serves with %d workers; %d are to leave",
	    p->next->number, p->next->want, generation_count(p, old, 0));
	p->now = p->next;
	p->next = NULL;
	p->reload = POOL_RELOADED;
	scoreboard_drain(p->board, 0);
	generation_leave(p, old, SIGQUIT, now_ms);
	hurry_oldest(p, now_ms);
}

static void
next_tick(struct pool *p, int64_t now_ms)
{
	if (generation_fill(p, p->next, now_ms) < 0)
		next_failed(p, "a worker cannot be started", now_ms);
	else if (generation_count(p, p->next, 1) >= p->next->want)
		next_takes_over(p, now_ms);
	else if (now_ms >= p->next->deadline_ms)
		next_failed(p, "the new workers are not ready in time", now_ms);
}

void
pool_reload(struct pool *p, struct conf *c, int conf_fd, int64_t now_ms)
{
	int now = p->now->want;

	p->next = generation_new(p, c, conf_fd);
	/* As many as the load has made of those that it replaces. */
	if (p->next->want < now)
		p->next->want =
		    now < p->next->scale.max ? now : p->next->scale.max;
	p->next->deadline_ms = now_ms + SLOT_READY_MS;
	p->reload = POOL_RELOADING;
}

enum pool_reload
pool_reload_state(const struct pool *p)
{
	return p->reload;
}

/* ---- the pool ---- */

struct pool *
pool_new(
    struct conf *c, int conf_fd, int listen_fd, int ctl_fd, struct err *err)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->listen_fd = listen_fd;
	p->ctl_fd = ctl_fd;
	p->starting = 1;
	p->reload = POOL_RELOADED;
	p->alive[0] = p->alive[1] = p->metrics_fd = -1;
	p->now = generation_new(p, c, conf_fd);
	p->board = scoreboard_new(POOL_SLOTS, err);
	if (p->board != NULL)
		p->metrics_fd = metrics_new(err);
	if (p->metrics_fd < 0) {
		pool_free(&p);
	} else if (pipe2(p->alive, O_CLOEXEC) < 0) {
		err_set(err, ERR_INTERNAL, "pipe: %s", strerror(errno));
		pool_free(&p);
	}
	return p;
}

void
pool_adopt(struct pool *p, int fd)
{
	scoreboard_adopt(p->board, fd);
}

int
pool_board_fd(const struct pool *p)
{
	return scoreboard_fd(p->board);
}

void
pool_free(struct pool **p_p)
{
	struct pool *p = *p_p;

	if (p == NULL)
		return;
	*p_p = NULL;
	for (int i = 0; i < p->used; i++)
		if (p->slots[i].role != SLOT_FREE)
			slot_free(p, &p->slots[i]);
	generation_free(&p->next);
	generation_free(&p->now);
	for (int i = 0; i < 2; i++)
		if (p->alive[i] >= 0)
			close(p->alive[i]);
	if (p->metrics_fd >= 0)
		close(p->metrics_fd);
	scoreboard_free(&p->board);
	free(p);
}

/* Those whose time to end is over, or to begin: their heirs may do better. */
static void
press_late(struct pool *p, int64_t now_ms)
{
	struct slot *s;

	for (int i = 0; i < p->used; i++) {
		s = &p->slots[i];
		if (s->role == SLOT_LEAVING && now_ms >= s->deadline_ms)
			slot_press(s, now_ms);
		if (slot_is_late(p, s, now_ms))
			slot_give_up(s, now_ms);
	}
}

void
pool_tick(struct pool *p, int64_t now_ms)
{
	if (!p->starting)
		return;
	press_late(p, now_ms);
	pool_watch(p, now_ms);
	generation_fill(p, p->now, now_ms);
	if (p->next != NULL)
		next_tick(p, now_ms);
}

static int64_t
slot_due_ms(const struct pool *p, const struct slot *s, int64_t now_ms)
{
	if (s->role == SLOT_LEAVING)
		return s->deadline_ms;
	if (s->role == SLOT_SERVING && s->pid == 0)
		return s->due_ms;
	if (s->role == SLOT_SERVING && !slot_is_ready(p, s))
		return now_ms + LOOK_MS;
	return INT64_MAX;
}

int64_t
pool_next_due_ms(const struct pool *p, int64_t now_ms)
{
	int64_t next = p->watch_ms, due;

	if (!p->starting)
		return -1;
	if (p->next != NULL)
		next = now_ms + LOOK_MS;
	for (int i = 0; i < p->used; i++) {
		due = slot_due_ms(p, &p->slots[i], now_ms);
		next = due < next ? due : next;
	}
	return next < now_ms ? 0 : next - now_ms;
}

/* ---- deaths ---- */

static void
log_death(int i, pid_t pid, int status, int64_t pause)
{
	char how[80], then[80] = "";

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "was killed by signal %d (%s%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)),
		    WCOREDUMP(status) ? ", core dumped" : "");
	else
		snprintf(how, sizeof(how), "exited with status %d",
		    WEXITSTATUS(status));
	if (pause > 0)
		snprintf(then, sizeof(then),
		    "; it keeps dying young: next start in %lld ms",
		    (long long)pause);
	log_warn("worker %d (pid %d) %s%s", i, (int)pid, how, then);
}

static struct slot *
slot_of(struct pool *p, pid_t pid)
{
	for (int i = 0; i < p->used; i++)
		if (p->slots[i].role != SLOT_FREE && p->slots[i].pid == pid)
			return &p->slots[i];
	return NULL;
}

int
pool_reaped(struct pool *p, pid_t pid, int status, int64_t now_ms)
{
	struct slot *s = slot_of(p, pid);
	int i, has_heir, look;

	if (s == NULL)
		return 0;
	i = slot_number(p, s);
	has_heir = s->role == SLOT_SERVING;
	look = p->starting && !has_heir && !pool_left_nothing(p, s);
	slot_died(s, now_ms);
	if (p->starting && s->role != SLOT_LEAVING) {
		log_death(i, pid, status, s->due_ms - now_ms);
		scoreboard_row(p->board, i)->restarts++;
		p->deaths++;
	}
	scoreboard_row_clear(p->board, i);
	if (s->role == SLOT_SERVING && s->gen == p->next)
		next_failed(p, "a new worker died", now_ms);
	else if (!has_heir)
		slot_free(p, s);
	if (look)
		pool_look(p);
	return 1;
}

void
pool_stop_starting(struct pool *p)
{
	p->starting = 0;
}

void
pool_look(struct pool *p)
{
	const struct slot *s;

	for (int i = 0; i < p->used; i++) {
		s = &p->slots[i];
		if (s->role == SLOT_SERVING && s->gen == p->now &&
		    slot_is_ready(p, s)) {
			kill(s->pid, SIGUSR2);
			return;
		}
	}
	/* Whoever starts next looks by itself: of ondemand, somebody must. */
	if (p->now->want == 0)
		p->now->want = 1;
}

int
pool_deaths(const struct pool *p)
{
	return p->deaths;
}

void
pool_signal(const struct pool *p, int sig)
{
	for (int i = 0; i < p->used; i++)
		if (p->slots[i].pid != 0)
			kill(p->slots[i].pid, sig);
}

int
pool_running(const struct pool *p)
{
	int n = 0;

	for (int i = 0; i < p->used; i++)
		n += p->slots[i].pid != 0;
	return n;
}

int
pool_size(const struct pool *p)
{
	return p->now->want;
}

void
pool_count(const struct pool *p, struct pool_counts *n_r)
{
	const struct board_worker *row;

	memset(n_r, 0, sizeof(*n_r));
	for (int i = 0; i < p->used; i++) {
		row = scoreboard_row(p->board, i);
		if (p->slots[i].pid == 0)
			continue;
		n_r->workers += p->slots[i].role != SLOT_LEAVING;
		n_r->leaving += p->slots[i].role == SLOT_LEAVING;
		n_r->turns += row->count[BOARD_TURNS];
		n_r->streams += row->count[BOARD_VIEWERS];
	}
}

int
pool_kill_stuck(struct pool *p, int64_t ms, int64_t now_ms)
{
	const struct slot *s;
	int well = p->now->want == 0;

	for (int i = 0; i < p->used; i++) {
		s = &p->slots[i];
		if (s->role == SLOT_FREE || s->role == SLOT_LEAVING)
			continue;
		if (slot_is_stuck(p, s, ms, now_ms)) {
			log_error("worker %d (pid %d) does nothing any more", i,
			    (int)s->pid);
			kill(s->pid, SIGKILL);
		} else {
			well += slot_is_ready(p, s);
		}
	}
	return well;
}

int
pool_is_ready(const struct pool *p)
{
	return generation_count(p, p->now, 1) >= p->now->want;
}

const struct conf *
pool_conf(const struct pool *p)
{
	return p->now->conf;
}
