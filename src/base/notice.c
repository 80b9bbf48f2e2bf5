/* SPDX-License-Identifier: MIT */
/*
 * A sequence lock: who reads takes a copy and keeps it if the number is the
 * same behind it. A writer that died leaves an odd one; the next takes over
 * when it has had time enough.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/notice.h"

#define WRITE_MS 5000 /* more than any copy takes */
#define TRIES 100

int
notice_is_newer(const struct notice *n, uint64_t seen)
{
	uint64_t seq = atomic_load(&n->seq);

	return (seq & 1) == 0 && seq > seen;
}

int
notice_is_free(const struct notice *n, int64_t now_ms)
{
	return now_ms >= atomic_load(&n->next_ms);
}

int
notice_claim(struct notice *n, int64_t now_ms, int64_t every_ms)
{
	int64_t next = atomic_load(&n->next_ms);

	if (now_ms < next || !atomic_compare_exchange_strong(
				 &n->next_ms, &next, now_ms + every_ms))
		return 0;
	atomic_store(&n->claimed_ms, now_ms);
	return 1;
}

int64_t
notice_claimed_ms(const struct notice *n)
{
	int64_t ms = atomic_load(&n->claimed_ms);

	return ms == 0 ? INT64_MIN : ms;
}

/* An odd number that is the caller's; 0: another process writes. */
static uint64_t
begin(struct notice *n, int64_t now_ms)
{
	uint64_t seq = atomic_load(&n->seq), mine;

	if (seq & 1 && now_ms - atomic_load(&n->writing_ms) < WRITE_MS)
		return 0;
	mine = seq & 1 ? seq + 2 : seq + 1;
	if (!atomic_compare_exchange_strong(&n->seq, &seq, mine))
		return 0;
	atomic_store(&n->writing_ms, now_ms);
	return mine;
}

void
notice_put(struct notice *n, const char *text, size_t len, int64_t now_ms,
    int64_t life_ms, uint64_t *seen)
{
	uint64_t mine = len > NOTICE_MAX_BYTES ? 0 : begin(n, now_ms);

	if (mine == 0)
		return;
	atomic_thread_fence(memory_order_release);
	memcpy(n->text, text, len);
	n->len = len;
	n->at_ms = now_ms;
	n->life_ms = life_ms;
	if (atomic_compare_exchange_strong(&n->seq, &mine, mine + 1))
		*seen = mine + 1;
}

int
notice_read(struct notice *n, struct buf *out, uint64_t *seen, int64_t *at_ms_r,
    int64_t *life_ms_r)
{
	uint64_t seq;
	size_t len;

	for (int i = 0; i < TRIES && notice_is_newer(n, *seen); i++) {
		seq = atomic_load(&n->seq);
		len = n->len;
		if (seq & 1 || len > NOTICE_MAX_BYTES)
			continue;
		buf_clear(out);
		buf_add(out, n->text, len);
		*at_ms_r = n->at_ms;
		*life_ms_r = n->life_ms;
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load(&n->seq) != seq)
			continue;
		*seen = seq;
		return 1;
	}
	return 0;
}
