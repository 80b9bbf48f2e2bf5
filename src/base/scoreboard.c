/* SPDX-License-Identifier: MIT */
/*
 * The scoreboard: a memfd of one row per worker.
 *
 * Beside its totals a row has a small open-addressed table of users, so that
 * limits per user hold in the whole pool without asking Redis: the sum of a
 * user's entries over all rows. Users are known by a hash only. Those for whom
 * a full table has no entry are counted together; their limits may then bite
 * early.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/lck.h"
#include "base/notice.h"
#include "base/scoreboard.h"

#define PROBES 64
#define NOTICES 16 /* pages that nobody writes are no memory */

/* What stands behind the rows. Another form of it, or of a row, has another
 * size or another number. */
#define FORM 1

struct board_tail {
	int form;
	_Atomic int used; /* rows */
	_Atomic int drained;
	struct board_endpoint endpoints[BOARD_ENDPOINTS];
	struct notice notices[NOTICES];
};

struct scoreboard {
	int fd;
	size_t size;
	struct board_worker *rows;
	struct board_tail *tail;
	struct lck lck; /* this worker's own row */
};

static struct scoreboard *
scoreboard_map(int fd, size_t size, struct err *err)
{
	struct scoreboard *sb = calloc(1, sizeof(*sb));

	if (sb == NULL)
		abort();
	sb->fd = fd;
	sb->size = size;
	sb->rows = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (sb->rows == MAP_FAILED) {
		err_set(err, ERR_INTERNAL, "scoreboard: %s", strerror(errno));
		free(sb);
		return NULL;
	}
	sb->tail = (struct board_tail *)(void *)((char *)sb->rows + size -
						 sizeof(struct board_tail));
	lck_init(&sb->lck, LCK_BOARD);
	return sb;
}

struct scoreboard *
scoreboard_new(int rows, struct err *err)
{
	size_t size = (size_t)rows * sizeof(struct board_worker) +
		      sizeof(struct board_tail);
	int fd = memfd_create("agent-fpm-scoreboard", MFD_CLOEXEC);
	struct scoreboard *sb;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
		err_set(err, ERR_INTERNAL, "scoreboard: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	sb = scoreboard_map(fd, size, err);
	if (sb == NULL)
		close(fd);
	else
		scoreboard_use(sb, rows);
	if (sb != NULL)
		sb->tail->form = FORM;
	return sb;
}

struct scoreboard *
scoreboard_open(int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size == 0) {
		err_set(err, ERR_INTERNAL, "scoreboard: not inherited");
		return NULL;
	}
	return scoreboard_map(fd, (size_t)st.st_size, err);
}

void
scoreboard_free(struct scoreboard **sb_p)
{
	struct scoreboard *sb = *sb_p;

	if (sb == NULL)
		return;
	*sb_p = NULL;
	munmap(sb->rows, sb->size);
	close(sb->fd);
	lck_fini(&sb->lck);
	free(sb);
}

/* 1 if the place is of that name, or was nobody's and now is. */
static int
place_take(_Atomic uint64_t *place, uint64_t hash)
{
	uint64_t found = 0;

	return atomic_compare_exchange_strong(place, &found, hash) ||
	       found == hash;
}

struct board_endpoint *
scoreboard_endpoint(struct scoreboard *sb, const char *name)
{
	struct board_endpoint *all = sb->tail->endpoints;
	uint64_t hash = hash_text(name);
	size_t at;

	for (size_t i = 0; i < BOARD_ENDPOINTS; i++) {
		at = (size_t)(hash + i) % BOARD_ENDPOINTS;
		if (place_take(&all[at].hash, hash))
			return &all[at];
	}
	return NULL;
}

static struct notice *
notice_place(struct scoreboard *sb, uint64_t hash)
{
	for (size_t i = 0; i < NOTICES; i++)
		if (place_take(&sb->tail->notices[i].hash, hash))
			return &sb->tail->notices[i];
	return NULL;
}

struct notice *
scoreboard_notice(struct scoreboard *sb, const char *name)
{
	return notice_place(sb, hash_text(name));
}

/* One notice, into the place of its name. */
static void
notice_adopt(struct scoreboard *sb, struct notice *old)
{
	int64_t at_ms, life_ms;
	uint64_t seen = 0;
	struct notice *n;
	struct buf text;

	buf_init(&text, NULL);
	if (old->hash != 0 &&
	    notice_read(old, &text, &seen, &at_ms, &life_ms)) {
		n = notice_place(sb, old->hash);
		notice_put(n, buf_str(&text), text.len, at_ms, life_ms, &seen);
		n->next_ms = old->next_ms;
	}
	buf_fini(&text);
}

void
scoreboard_adopt(struct scoreboard *sb, int fd)
{
	struct scoreboard *old = scoreboard_open(fd, NULL);

	if (old == NULL) {
		close(fd);
		return;
	}
	if (old->size == sb->size && old->tail->form == FORM)
		for (size_t i = 0; i < NOTICES; i++)
			notice_adopt(sb, &old->tail->notices[i]);
	scoreboard_free(&old);
}

int
scoreboard_fd(const struct scoreboard *sb)
{
	return sb->fd;
}

int
scoreboard_workers(const struct scoreboard *sb)
{
	return atomic_load(&sb->tail->used);
}

void
scoreboard_use(struct scoreboard *sb, int rows)
{
	atomic_store(&sb->tail->used, rows);
}

int
scoreboard_is_drained(const struct scoreboard *sb)
{
	return atomic_load(&sb->tail->drained);
}

void
scoreboard_drain(struct scoreboard *sb, int on)
{
	atomic_store(&sb->tail->drained, on);
}

struct board_worker *
scoreboard_row(struct scoreboard *sb, int slot)
{
	return &sb->rows[slot];
}

void
scoreboard_row_clear(struct scoreboard *sb, int slot)
{
	char *row = (char *)&sb->rows[slot];
	size_t at = offsetof(struct board_worker, restarts);
	size_t behind = at + sizeof(sb->rows[slot].restarts);

	/* Somebody may be reading the restarts: they never fall. */
	memset(row, 0, at);
	memset(row + behind, 0, sizeof(sb->rows[slot]) - behind);
}

/* 1 if an entry is free: nobody's, or of a user who has nothing any more. */
static int
user_is_free(const struct board_user *u)
{
	if (atomic_load(&u->hash) == 0)
		return 1;
	for (int k = 0; k < BOARD_KINDS; k++)
		if (atomic_load(&u->count[k]) != 0)
			return 0;
	return 1;
}

/*
 * The entry of a user in a row. With make one is made, in the first place
 * that is free; where there is none, and without make, it is the row's rest,
 * in which all without an entry are counted together.
 */
static struct board_user *
row_user(struct board_worker *row, uint64_t hash, int make)
{
	struct board_user *u, *spare = NULL;

	for (unsigned i = 0; i < PROBES; i++) {
		u = &row->users[(hash + i) % BOARD_USERS];
		if (atomic_load(&u->hash) == hash)
			return u;
		if (spare == NULL && user_is_free(u))
			spare = u;
	}
	if (!make || spare == NULL)
		return &row->rest;
	atomic_store(&spare->hash, hash);
	return spare;
}

static int64_t
pool_count(struct scoreboard *sb, enum board_count kind, uint64_t hash)
{
	int64_t n = 0;
	int used = scoreboard_workers(sb);

	for (int i = 0; i < used; i++)
		n += atomic_load(&row_user(&sb->rows[i], hash, 0)->count[kind]);
	return n;
}

int64_t
scoreboard_count(struct scoreboard *sb, enum board_count kind, const char *user)
{
	return pool_count(sb, kind, hash_text(user));
}

int
scoreboard_count_take(struct scoreboard *sb, int slot, enum board_count kind,
    const char *user, int64_t max, int64_t worker_max)
{
	struct board_worker *row = &sb->rows[slot];
	uint64_t hash = hash_text(user);
	int rc = 1;

	lck_take(&sb->lck);
	if (atomic_load(&row->count[kind]) >= worker_max) {
		rc = -1;
	} else if (max > 0 && pool_count(sb, kind, hash) >= max) {
		rc = 0;
	} else {
		atomic_fetch_add(&row->count[kind], 1);
		atomic_fetch_add(&row_user(row, hash, 1)->count[kind], 1);
	}
	lck_drop(&sb->lck);
	return rc;
}

void
scoreboard_count_drop(
    struct scoreboard *sb, int slot, enum board_count kind, const char *user)
{
	struct board_worker *row = &sb->rows[slot];
	struct board_user *u;

	lck_take(&sb->lck);
	u = row_user(row, hash_text(user), 0);
	if (atomic_load(&u->count[kind]) == 0)
		u = &row->rest; /* it was counted there when all was full */
	atomic_fetch_sub(&row->count[kind], 1);
	atomic_fetch_sub(&u->count[kind], 1);
	if (u != &row->rest && user_is_free(u))
		atomic_store(&u->hash, 0);
	lck_drop(&sb->lck);
}
