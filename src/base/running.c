/* SPDX-License-Identifier: MIT */
/*
 * Turns that run, in the rows of the metrics' segment.
 *
 * A place is written by one thread and read by any process. A number counts
 * the writings: odd while one is under way, so who reads sees that, or that it
 * has changed meanwhile, and takes the place again; a worker that died in the
 * middle is not read at all. The words are atomics, as no order of plain ones
 * is promised.
 */
#include "config.h"

#include <string.h>

#include "base/metrics_priv.h"

#define TRIES 8

#define load_relaxed(p) atomic_load_explicit(p, memory_order_relaxed)
#define store_relaxed(p, v) atomic_store_explicit(p, v, memory_order_relaxed)

static const char *const names[RUNNING_STATES] = { "history", "connect", "hook",
	"model", "retry", "tools", "agents", "commit" };

const char *
running_state_name(int64_t state)
{
	return state >= 0 && state < RUNNING_STATES ? names[state] : "unknown";
}

static struct running_place *
place_at(int place)
{
	struct metric_worker *own = metrics_own();

	return own == NULL || place < 0 ? NULL : &own->running[place];
}

int
running_take(void)
{
	struct metric_worker *own = metrics_own();

	for (int i = 0; own != NULL && i < RUNNING_PER_WORKER; i++)
		if (!load_relaxed(&own->running[i].taken)) {
			store_relaxed(&own->running[i].taken, 1);
			return i;
		}
	return -1;
}

static void
write_begin(struct running_place *p)
{
	store_relaxed(&p->writings, load_relaxed(&p->writings) + 1);
	atomic_thread_fence(memory_order_release);
}

static void
write_end(struct running_place *p)
{
	atomic_store_explicit(
	    &p->writings, load_relaxed(&p->writings) + 1, memory_order_release);
}

void
running_drop(int place)
{
	struct running_place *p = place_at(place);

	if (p == NULL)
		return;
	write_begin(p);
	store_relaxed(&p->shown, 0);
	write_end(p);
	store_relaxed(&p->taken, 0);
}

void
running_put(int place, const struct running_turn *t)
{
	struct running_place *p = place_at(place);
	int64_t words[RUNNING_WORDS];

	if (p == NULL)
		return;
	memcpy(words, t, sizeof(words));
	write_begin(p);
	for (size_t i = 0; i < RUNNING_WORDS; i++)
		store_relaxed(&p->word[i], words[i]);
	store_relaxed(&p->shown, 1);
	write_end(p);
}

#define WORD_OF(member) (offsetof(struct running_turn, member) / 8)

void
running_move(int place, enum running_state state, int step, int64_t since_us)
{
	struct running_place *p = place_at(place);

	if (p == NULL)
		return;
	write_begin(p);
	store_relaxed(&p->word[WORD_OF(state)], (int64_t)state);
	store_relaxed(&p->word[WORD_OF(step)], step);
	store_relaxed(&p->word[WORD_OF(since_us)], since_us);
	write_end(p);
}

/* 1 if a turn is shown there, and *out is it. */
static int
place_read(struct running_place *p, struct running_turn *out)
{
	int64_t words[RUNNING_WORDS];
	int64_t before;
	int shown;

	for (int i = 0; i < TRIES; i++) {
		before =
		    atomic_load_explicit(&p->writings, memory_order_acquire);
		shown = load_relaxed(&p->shown);
		for (size_t k = 0; k < RUNNING_WORDS; k++)
			words[k] = load_relaxed(&p->word[k]);
		atomic_thread_fence(memory_order_acquire);
		if (before % 2 == 0 && before == load_relaxed(&p->writings)) {
			memcpy(out, words, sizeof(words));
			return shown;
		}
	}
	return 0;
}

size_t
running_list(struct running_turn *list, size_t max)
{
	struct metric_worker *w;
	size_t n = 0;

	for (int i = 0; (w = metrics_worker(i)) != NULL; i++) {
		if (!metrics_alive(w))
			continue;
		for (int k = 0; k < RUNNING_PER_WORKER && n < max; k++)
			if (place_read(&w->running[k], &list[n]))
				list[n++].pid = load_relaxed(&w->pid);
	}
	return n;
}
