/* SPDX-License-Identifier: MIT */
#ifndef BASE_SCOREBOARD_H
#define BASE_SCOREBOARD_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/*
 * What the processes of a pool know of each other: a page of shared memory
 * that the master makes and the workers inherit. A worker writes only its own
 * row; anybody reads. Numbers may be a moment old. When a worker dies the
 * master clears its row, so what it held is counted no more.
 */
enum board_state { BOARD_EMPTY, BOARD_STARTING, BOARD_READY, BOARD_DRAINING };

enum board_count { BOARD_VIEWERS, BOARD_TURNS, BOARD_KINDS };

#define BOARD_USERS 4096 /* users with streams or turns, of one worker */

struct board_user {
	_Atomic uint64_t hash; /* 0: free */
	_Atomic uint32_t count[BOARD_KINDS];
};

struct board_worker {
	_Atomic int pid;
	_Atomic int state;
	_Atomic int64_t started_ms; /* monotonic */
	_Atomic uint64_t restarts;
	_Atomic uint64_t requests;
	_Atomic uint64_t turns_done;
	_Atomic uint32_t busy;        /* threads that answer a request now */
	_Atomic int64_t beat_ms;      /* monotonic: its loop ran */
	_Atomic int64_t memory_bytes; /* resident, as of then */
	_Atomic uint32_t count[BOARD_KINDS];
	_Atomic uint32_t unswept; /* not 0: it may have to take up turns yet */
	struct board_user users[BOARD_USERS];
	struct board_user rest; /* those without an entry */
};

#define BOARD_ENDPOINTS 64

/* A provider that the pool calls; all workers write it. */
struct board_endpoint {
	_Atomic uint64_t hash; /* 0: free */
	_Atomic int64_t failures;
	_Atomic int64_t closed_until_ms; /* monotonic */
};

struct scoreboard;
struct notice;

/* A new board of so many rows. Its descriptor goes to the workers. */
struct scoreboard *scoreboard_new(int rows, struct err *err);

/* The board behind a descriptor that was inherited. */
struct scoreboard *scoreboard_open(int fd, struct err *err);
void scoreboard_free(struct scoreboard **sb_p);

int scoreboard_fd(const struct scoreboard *sb);

/*
 * Takes over, into a new board, the notices of the one behind fd, which is of
 * another program: what it has learnt is good still. Nothing if its form is
 * another. Closes fd.
 */
void scoreboard_adopt(struct scoreboard *sb, int fd);

/* How many rows, from the first, are looked at: all of a new board, until
 * the master says how many it has begun to use. */
int scoreboard_workers(const struct scoreboard *sb);
void scoreboard_use(struct scoreboard *sb, int rows);

struct board_worker *scoreboard_row(struct scoreboard *sb, int slot);

/* Whether the pool takes no new messages; and says so from now on. */
int scoreboard_is_drained(const struct scoreboard *sb);
void scoreboard_drain(struct scoreboard *sb, int on);

/* The one of that name, the same for all processes; NULL if there are too
 * many. */
struct board_endpoint *scoreboard_endpoint(
    struct scoreboard *sb, const char *name);

/* The same for notices; the first to ask makes it. */
struct notice *scoreboard_notice(struct scoreboard *sb, const char *name);

/* Forgets all of a row but its restarts. The master's, after a death. */
void scoreboard_row_clear(struct scoreboard *sb, int slot);

/* What a user has in the whole pool now. Any thread. */
int64_t scoreboard_count(
    struct scoreboard *sb, enum board_count kind, const char *user);

/*
 * Counts one more viewer or turn of a user in the row of slot, unless the
 * user has max of them in the whole pool already (0: no limit) or the worker
 * has worker_max. 1 counted, 0 the user's limit, -1 the worker's. Threads of
 * one worker may call it together; two workers that do so at the same moment
 * may overshoot a user's limit by one.
 */
int scoreboard_count_take(struct scoreboard *sb, int slot,
    enum board_count kind, const char *user, int64_t max, int64_t worker_max);
void scoreboard_count_drop(
    struct scoreboard *sb, int slot, enum board_count kind, const char *user);

#endif
