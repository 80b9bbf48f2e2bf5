/* SPDX-License-Identifier: MIT */
#ifndef BASE_NOTICE_H
#define BASE_NOTICE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * What one process of a pool has learnt, so that the others need not ask for
 * it: a text in shared memory (scoreboard.h has some) or in the process's own,
 * all 0 at first. Nothing here blocks, and a writer that dies in the middle
 * holds nobody up. Times are monotonic.
 */
#define NOTICE_MAX_BYTES 65536

struct notice {
	_Atomic uint64_t hash; /* of its name; 0: it has none */
	_Atomic uint64_t seq;  /* odd while it is written */
	_Atomic int64_t writing_ms, next_ms, claimed_ms;
	int64_t at_ms, life_ms;
	size_t len;
	char text[NOTICE_MAX_BYTES];
};

/* 1 if there is a text that came after what the caller has seen, as
 * notice_read and notice_put left it; 0 at first. */
int notice_is_newer(const struct notice *n, uint64_t seen);

/* 1: the caller is the one that asks, and nobody else does for every_ms. */
int notice_claim(struct notice *n, int64_t now_ms, int64_t every_ms);

/* 1 if notice_claim would be. */
int notice_is_free(const struct notice *n, int64_t now_ms);

/* When somebody claimed it last; INT64_MIN: never. */
int64_t notice_claimed_ms(const struct notice *n);

/*
 * Puts a text of at most NOTICE_MAX_BYTES there, good for life_ms from now. A
 * longer one, or while another process writes, is left out.
 */
void notice_put(struct notice *n, const char *text, size_t len, int64_t now_ms,
    int64_t life_ms, uint64_t *seen);

/* 1 and the text, in the place of what out has, with its times, if it is
 * newer; else 0. */
int notice_read(struct notice *n, struct buf *out, uint64_t *seen,
    int64_t *at_ms_r, int64_t *life_ms_r);

#endif
