/* SPDX-License-Identifier: MIT */
/*
 * Workers: started by exec of this same program, so each begins with a fresh
 * address space and no thread of the master's.
 *
 * A worker that dies is replaced at once; its heir gets the same slot, by
 * which it finds the leases that the dead one held. One that dies within a
 * second of its start, again and again, is started after a pause that doubles
 * from 50 ms to 10 s: a broken installation must not burn the host.
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
#include "base/scoreboard.h"
#include "base/spawn.h"
#include "conf/conf.h"
#include "master/pool.h"

#define YOUNG_MS 1000
#define YOUNG_FREE 4 /* deaths in a row that are forgiven */
#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS 10000

struct slot {
	pid_t pid; /* 0: none */
	int64_t started_ms;
	int64_t due_ms;
	int young_deaths;
};

struct pool {
	const struct conf *conf;
	struct scoreboard *board;
	int listen_fd, conf_fd;
	int alive[2]; /* the write end is the master's, and never written */
	int starting;
	int count;
	struct slot *slots;
};

static int
cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return CPU_COUNT(&set);
}

struct pool *
pool_new(const struct conf *c, int listen_fd, int conf_fd, struct err *err)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->conf = c;
	p->listen_fd = listen_fd;
	p->conf_fd = conf_fd;
	p->starting = 1;
	p->count = c->workers > 0 ? (int)c->workers : cores();
	p->slots = calloc((size_t)p->count, sizeof(*p->slots));
	if (p->slots == NULL)
		abort();
	p->board = scoreboard_new(p->count, err);
	if (p->board == NULL || pipe2(p->alive, O_CLOEXEC) < 0) {
		if (p->board != NULL)
			err_set(err, ERR_INTERNAL, "pipe: %s", strerror(errno));
		scoreboard_free(&p->board);
		free(p->slots);
		free(p);
		return NULL;
	}
	return p;
}

void
pool_free(struct pool **p_p)
{
	struct pool *p = *p_p;

	if (p == NULL)
		return;
	*p_p = NULL;
	close(p->alive[0]);
	close(p->alive[1]);
	scoreboard_free(&p->board);
	free(p->slots);
	free(p);
}

static int
slot_start(struct pool *p, int i, int64_t now_ms, struct err *err)
{
	char number[16];
	char name[] = "agent-fpm", option[] = "--worker";
	char *argv[] = { name, option, number, p->conf->file, NULL };
	struct spawn s = {
		.path = "/proc/self/exe",
		.argv = argv,
		.env = environ,
		.fds = { p->listen_fd, scoreboard_fd(p->board), p->conf_fd,
		    p->alive[0] },
		.fd_count = WORKER_FD_END - WORKER_FD_LISTEN,
	};
	struct board_worker *row = scoreboard_row(p->board, i);
	pid_t pid;

	snprintf(number, sizeof(number), "%d", i);
	scoreboard_row_clear(p->board, i);
	row->state = BOARD_STARTING;
	row->started_ms = now_ms;
	pid = spawn_start(&s, err);
	if (pid < 0)
		return -1;
	row->pid = pid;
	p->slots[i].pid = pid;
	p->slots[i].started_ms = now_ms;
	return 0;
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
pool_start_due(struct pool *p, int64_t now_ms)
{
	struct slot *s;
	struct err err;

	for (int i = 0; p->starting && i < p->count; i++) {
		s = &p->slots[i];
		if (s->pid != 0 || s->due_ms > now_ms)
			continue;
		if (slot_start(p, i, now_ms, &err) < 0) {
			s->due_ms = now_ms + PAUSE_MAX_MS;
			log_error("worker %d: %s; next try in %d s", i,
			    err.text, PAUSE_MAX_MS / 1000);
		}
	}
}

int64_t
pool_next_due_ms(const struct pool *p, int64_t now_ms)
{
	int64_t next = -1, wait;

	for (int i = 0; p->starting && i < p->count; i++) {
		if (p->slots[i].pid != 0)
			continue;
		wait = p->slots[i].due_ms - now_ms;
		wait = wait < 0 ? 0 : wait;
		if (next < 0 || wait < next)
			next = wait;
	}
	return next;
}

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

int
pool_reaped(struct pool *p, pid_t pid, int status, int64_t now_ms)
{
	struct slot *s;
	int64_t pause;

	for (int i = 0; i < p->count; i++) {
		s = &p->slots[i];
		if (s->pid != pid)
			continue;
		s->pid = 0;
		if (now_ms - s->started_ms < YOUNG_MS)
			s->young_deaths++;
		else
			s->young_deaths = 0;
		pause = pause_ms(s->young_deaths);
		s->due_ms = now_ms + pause;
		scoreboard_row_clear(p->board, i);
		scoreboard_row(p->board, i)->restarts++;
		if (p->starting)
			log_death(i, pid, status, pause);
		return 1;
	}
	return 0;
}

void
pool_stop_starting(struct pool *p)
{
	p->starting = 0;
}

void
pool_signal(const struct pool *p, int sig)
{
	for (int i = 0; i < p->count; i++)
		if (p->slots[i].pid != 0)
			kill(p->slots[i].pid, sig);
}

int
pool_running(const struct pool *p)
{
	int n = 0;

	for (int i = 0; i < p->count; i++)
		n += p->slots[i].pid != 0;
	return n;
}

int
pool_size(const struct pool *p)
{
	return p->count;
}
