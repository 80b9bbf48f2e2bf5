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

#include "base/clk.h"
#include "worker/memory.h"

#define ARENAS 2
#define KEPT_BYTES ((size_t)512 << 10)
#define SPARE_BYTES ((size_t)4 << 20) /* less is not worth the work */
#define LOOK_EVERY_MS 10000
#define LOOKS 6

void
memory_init(void)
{
	mallopt(M_ARENA_MAX, ARENAS);
	mallopt(M_TRIM_THRESHOLD, (int)KEPT_BYTES);
}

void
memory_look(struct memory *m)
{
	int64_t now_ms = clk_mono_ms();
	size_t spare;

	if (now_ms < m->next_ms)
		return;
	m->next_ms = now_ms + LOOK_EVERY_MS;
	spare = mallinfo2().fordblks;
	if (m->looks == 0 || spare < m->spare)
		m->spare = spare;
	if (spare < m->given)
		m->given = spare; /* it is used again */
	if (++m->looks < LOOKS)
		return;
	m->looks = 0;
	if (m->spare < m->given + SPARE_BYTES)
		return;
	malloc_trim(KEPT_BYTES);
	m->given = mallinfo2().fordblks; /* it still counts as free */
}
