/* SPDX-License-Identifier: MIT */
/*
 * Whether an audit log is whole: every record has the hash of its own bytes,
 * and each chain its numbers without a gap, each with the hash of the one
 * before. Records come in any order and are sorted.
 *
 * The old end of a chain may be missing, as the stream is bounded; that is
 * told by its first number, and is no fault. Its new end cannot be told from
 * a process that was killed, so what was cut off there is not seen.
 *
 * A record may be there twice, if it is the same to a byte: it was written
 * again after an answer was lost, and says nothing else.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/sha256.h"
#include "store/audit.h"
#include "store/audit_priv.h"
#include "store/store_priv.h"

#define RECORD_DEPTH 4
#define PAGE "500"

struct link {
	char chain[40];
	int64_t seq, lost;
	char prev[SHA256_HEX_SIZE], hash[SHA256_HEX_SIZE];
};

struct audit_check {
	struct link *links;
	size_t count, room;
	size_t next;
	int sorted;
};

struct audit_check *
audit_check_new(void)
{
	struct audit_check *k = calloc(1, sizeof(*k));

	if (k == NULL)
		abort();
	return k;
}

void
audit_check_free(struct audit_check **k_p)
{
	struct audit_check *k = *k_p;

	if (k == NULL)
		return;
	*k_p = NULL;
	free(k->links);
	free(k);
}

static struct link *
link_add(struct audit_check *k)
{
	if (k->count == k->room) {
		k->room = k->room == 0 ? 256 : k->room * 2;
		k->links = reallocarray(k->links, k->room, sizeof(*k->links));
		if (k->links == NULL)
			abort();
	}
	return memset(&k->links[k->count++], 0, sizeof(struct link));
}

/* A string of a record, of that length at most. 0 or -1. */
static int
member(const struct json *doc, const char *name, char *out, size_t size)
{
	const char *s = json_get_str(doc, name);

	if (s == NULL || *s == '\0' || strlen(s) >= size)
		return -1;
	memcpy(out, s, strlen(s) + 1);
	return 0;
}

static int
record_read(struct arena *a, const char *text, size_t len, struct link *out,
    struct err *err)
{
	const size_t tail = sizeof(AUDIT_HASH_MARK) - 1 + 64 + 2;
	const struct json *doc = json_parse(a, text, len, RECORD_DEPTH, err);
	char hash[SHA256_HEX_SIZE];

	if (doc == NULL)
		return -1;
	if (member(doc, "chain", out->chain, sizeof(out->chain)) < 0 ||
	    member(doc, "prev", out->prev, sizeof(out->prev)) < 0 ||
	    member(doc, "hash", out->hash, sizeof(out->hash)) < 0 ||
	    !json_get_int(doc, "seq", &out->seq) || out->seq < 1)
		return err_set(err, ERR_INVALID, "no record of ours");
	json_get_int(doc, "lost", &out->lost);
	if (len <= tail || memcmp(text + len - tail, AUDIT_HASH_MARK,
			       sizeof(AUDIT_HASH_MARK) - 1) != 0)
		return err_set(err, ERR_INVALID, "hash is not its last member");
	sha256_hex(text, len - tail, hash);
	if (strcmp(hash, out->hash) != 0)
		return err_set(err, ERR_INVALID,
		    "%s %" PRId64 " was changed: its hash is another",
		    out->chain, out->seq);
	return 0;
}

int
audit_check_add(
    struct audit_check *k, const char *text, size_t len, struct err *err)
{
	struct arena *a = arena_open(4096);
	struct link link;
	int rc;

	memset(&link, 0, sizeof(link));
	rc = record_read(a, text, len, &link, err);
	if (rc == 0)
		*link_add(k) = link;
	arena_close(&a);
	return rc;
}

/* A page after *last, which it moves. 1, 0 at the end, -1. */
static int
page_add(struct audit_check *k, struct store *st, struct arena *a, char *last,
    size_t size, struct err *err)
{
	const struct redis_reply *r, *entry, *record;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(
	    &p, "XRANGE", audit_key(st, a), last, "+", "COUNT", PAGE, NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	for (size_t i = 0; i < r[0].count; i++) {
		entry = &r[0].items[i];
		if (entry->count < 2 || entry->items[1].count < 2)
			return err_set(err, ERR_INVALID,
			    "an entry of the stream is no record");
		record = &entry->items[1].items[1];
		snprintf(last, size, "(%s", redis_text(&entry->items[0]));
		if (audit_check_add(k, redis_text(record), record->len, err) <
		    0)
			return err_prefix(err, "entry %s", last + 1);
	}
	return r[0].count > 0;
}

int
audit_check_stream(struct audit_check *k, struct store *st, struct err *err)
{
	char last[64] = "-";
	struct arena *a;
	int rc;

	do {
		a = arena_open(65536);
		rc = page_add(k, st, a, last, sizeof(last), err);
		arena_close(&a);
	} while (rc > 0);
	return rc;
}

static int
link_order(const void *a, const void *b)
{
	const struct link *x = a, *y = b;
	int rc = strcmp(x->chain, y->chain);

	if (rc == 0)
		rc = (x->seq > y->seq) - (x->seq < y->seq);
	return rc != 0 ? rc : strcmp(x->hash, y->hash);
}

/* Whether y follows x; else what is wrong. */
static void
pair_check(const struct link *x, const struct link *y, char *fault, size_t size)
{
	if (*fault != '\0')
		return; /* the first one is enough */
	if (y->seq == x->seq)
		snprintf(fault, size,
		    "%" PRId64 " is there twice, and they differ", x->seq);
	else if (y->seq != x->seq + 1)
		snprintf(fault, size, "%" PRId64 " to %" PRId64 " are missing",
		    x->seq + 1, y->seq - 1);
	else if (strcmp(y->prev, x->hash) != 0)
		snprintf(fault, size,
		    "%" PRId64 " is not the one that %" PRId64 " was written "
		    "after",
		    x->seq, y->seq);
}

/* 1 if it is the same record, and so the same number and text. */
static int
is_double(const struct link *x, const struct link *y)
{
	return strcmp(x->hash, y->hash) == 0;
}

int
audit_check_next(struct audit_check *k, struct audit_chain *out)
{
	const struct link *first, *x, *y;
	size_t i = k->next;

	if (!k->sorted && k->count > 0)
		qsort(k->links, k->count, sizeof(*k->links), link_order);
	k->sorted = 1;
	if (i == k->count)
		return 0;
	memset(out, 0, sizeof(*out));
	first = x = &k->links[i];
	memcpy(out->chain, first->chain, sizeof(out->chain));
	out->first = first->seq;
	out->lost = first->lost;
	if (first->seq == 1 && strspn(first->prev, "0") != 64)
		snprintf(out->fault, sizeof(out->fault),
		    "1 is written after something else");
	while (++i < k->count && strcmp(k->links[i].chain, first->chain) == 0) {
		y = &k->links[i];
		if (is_double(x, y)) {
			out->doubles++;
			continue;
		}
		pair_check(x, y, out->fault, sizeof(out->fault));
		out->lost += y->lost;
		x = y;
	}
	out->last = x->seq;
	k->next = i;
	return 1;
}
