/* SPDX-License-Identifier: MIT */
/*
 * A worker's heap goes back to what it needs.
 *
 * By itself glibc keeps an arena for each thread, as much more as was once
 * freed in one piece, and all that is freed below something that lives: after
 * a moment of a thousand requests a worker stayed twice as large as it had to
 * be, and pm.max_memory would have replaced it for that. So there are few
 * arenas, and what was free for a minute on end goes back. It is not given
 * back at once, for the next thousand requests would pay for clearing it.
 */
#include "config.h"

#include <malloc.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/process.h"
#include "worker/memory.h"

#define ARENAS 2
#define KEPT_BYTES ((size_t)512 << 10)
#define SPARE_BYTES (2 << 20) /* less is not worth the work */
#define LOOK_EVERY_MS 10000
#define LOOKS 6

void
memory_init(void)
{
	mallopt(M_ARENA_MAX, ARENAS);
	mallopt(M_TRIM_THRESHOLD, (int)KEPT_BYTES);
}

/* What is resident beside what malloc has given out. */
static int64_t
beside(void)
{
	struct mallinfo2 all = mallinfo2();

	return process_resident_bytes(getpid()) -
	       (int64_t)(all.uordblks + all.hblkhd);
}

/* The rest of the process does not grow: what it has at first is the measure
 * for what malloc keeps later. */
static int64_t
spare_now(struct memory *m)
{
	int64_t now = beside();

	if (m->other == 0 || now < m->other)
		m->other = now;
	return now - m->other;
}

void
memory_look(struct memory *m)
{
	int64_t now_ms = clk_mono_ms(), spare;

	if (now_ms < m->next_ms)
		return;
	m->next_ms = now_ms + LOOK_EVERY_MS;
	spare = spare_now(m);
	if (m->looks == 0 || spare < m->spare)
		m->spare = spare;
	if (spare < m->left)
		m->left = spare;
	if (++m->looks < LOOKS)
		return;
	m->looks = 0;
	if (m->spare < m->left + SPARE_BYTES)
		return;
	malloc_trim(KEPT_BYTES);
	m->left = spare_now(m);
}
