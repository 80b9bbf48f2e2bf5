/* SPDX-License-Identifier: MIT */
/*
 * A chain of the audit log, with its numbers and hashes.
 *
 * A number that is used and not written would look like a record that
 * somebody has taken out. So a number is used up only by what was written. If
 * it is not known whether something was, as after an answer of Redis that was
 * lost, the same lines are written again before anything else is: there may be
 * two that are the same to a byte, never two that differ. Until that has
 * succeeded whatever else comes is given up and counted, and the next record
 * says how many these were (lost), under its hash like all else.
 *
 * That needs an order, so one thread writes at a time, for all that came
 * meanwhile: the first that finds nobody at it takes the whole queue. The lock
 * is not held while it writes.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "base/json.h"
#include "base/lck.h"
#include "base/sha256.h"
#include "store/audit_chain.h"
#include "store/audit_priv.h"

/* A record that waits, on the stack of its thread. */
struct waiting {
	const struct buf *members;
	struct waiting *next;
	struct err *err;
	int done, rc;
};

struct audit_chain_writer {
	audit_append_f *append;
	void *ctx;

	struct lck lck; /* for what follows */
	struct lck_cond turn;
	struct waiting *first, **tail;
	int busy; /* a thread writes; what follows is that thread's */

	char chain[ID_SIZE];
	int64_t seq;
	char prev[SHA256_HEX_SIZE];
	int64_t lost;       /* since the last record that is there */
	struct buf pending; /* lines that may be there */
};

struct audit_chain_writer *
audit_chain_writer_new(audit_append_f *append, void *ctx)
{
	struct audit_chain_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	w->append = append;
	w->ctx = ctx;
	w->tail = &w->first;
	id_make(w->chain, "aud_");
	memset(w->prev, '0', SHA256_HEX_SIZE - 1);
	buf_init(&w->pending, NULL);
	lck_init(&w->lck, LCK_AUDIT);
	lck_cond_init(&w->turn);
	return w;
}

/* What may be missing comes first. 0 or -1. */
static int
pending_write(struct audit_chain_writer *w, struct arena *a, struct err *err)
{
	if (w->pending.len == 0)
		return 0;
	if (w->append(w->ctx, a, w->pending.data, w->pending.len, err) < 0)
		return -1;
	buf_clear(&w->pending);
	return 0;
}

void
audit_chain_writer_free(struct audit_chain_writer **w_p)
{
	struct audit_chain_writer *w = *w_p;
	struct arena *a;
	struct err err;

	if (w == NULL)
		return;
	*w_p = NULL;
	a = arena_open(4096);
	pending_write(w, a, &err); /* its lines are in the process's log */
	arena_close(&a);
	buf_fini(&w->pending);
	lck_cond_fini(&w->turn);
	lck_fini(&w->lck);
	free(w);
}

/* The next line of the chain. */
static void
line_add(
    struct audit_chain_writer *w, struct buf *lines, const struct buf *members)
{
	size_t from = lines->len;
	char hash[SHA256_HEX_SIZE];

	json_open(lines, NULL, '{');
	json_add_str(lines, "chain", w->chain);
	json_add_int(lines, "seq", ++w->seq);
	json_add_str(lines, "prev", w->prev);
	if (w->lost > 0)
		json_add_int(lines, "lost", w->lost);
	w->lost = 0;
	buf_putc(lines, ',');
	buf_add(lines, members->data, members->len);
	sha256_hex(lines->data + from, lines->len - from, hash);
	memcpy(w->prev, hash, sizeof(hash));
	buf_printf(lines, AUDIT_HASH_MARK "%s\"}\n", hash);
}

/* Of all that wait in the queue. 0 or -1. */
static int
queue_write(struct audit_chain_writer *w, struct arena *a,
    const struct waiting *queue, struct err *err)
{
	struct buf lines;

	if (pending_write(w, a, err) < 0) {
		for (; queue != NULL; queue = queue->next)
			w->lost++;
		return -1;
	}
	buf_init(&lines, a);
	for (; queue != NULL; queue = queue->next)
		line_add(w, &lines, queue->members);
	if (w->append(w->ctx, a, lines.data, lines.len, err) == 0)
		return 0;
	buf_add(&w->pending, lines.data, lines.len);
	return -1;
}

/* Called and left with the lock. */
static void
lead(struct audit_chain_writer *w, struct arena *a)
{
	struct waiting *queue = w->first, *next;
	struct err err;
	int rc;

	w->first = NULL;
	w->tail = &w->first;
	w->busy = 1;
	lck_drop(&w->lck);
	err_clear(&err);
	rc = queue_write(w, a, queue, &err);
	lck_take(&w->lck);
	w->busy = 0;
	for (; queue != NULL; queue = next) {
		next = queue->next; /* it is gone when it is done */
		*queue->err = err;
		queue->rc = rc;
		queue->done = 1;
	}
	lck_cond_broadcast(&w->turn);
}

int
audit_chain_write(struct audit_chain_writer *w, struct arena *a,
    const struct buf *members, struct err *err)
{
	struct waiting me = { .members = members, .err = err };

	lck_take(&w->lck);
	*w->tail = &me;
	w->tail = &me.next;
	while (w->busy && !me.done)
		lck_cond_wait(&w->turn, &w->lck, INT64_MAX);
	if (!me.done)
		lead(w, a);
	lck_drop(&w->lck);
	return me.rc;
}
