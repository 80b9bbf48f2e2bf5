/* SPDX-License-Identifier: MIT */
/*
 * The pages that a turn's user has open, for an agent whose tools name some of
 * theirs: read once for each step, before the model is asked or the step's
 * calls are taken up again. So a tool is gone when its page is, and there when
 * it comes. Agents that name none cost nothing.
 */
#include "config.h"

#include <string.h>

#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/log.h"
#include "conf/conf.h"
#include "store/pages.h"

#define PAGES_ARENA_BYTES 16384

/* The names are JSON of ours, and none has a character to be escaped before
 * this. */
int
turn_pages_due(const struct turn *t)
{
	return t->pages.step != t->step &&
	       strstr(t->history->tools, "\"" PAGE_PREFIX) != NULL;
}

enum turn_step
turn_pages(struct turn *t, enum turn_step next)
{
	t->pages.after = next;
	return TURN_PAGES;
}

void
turn_pages_free(struct turn *t)
{
	t->pages.step = 0;
	t->pages.tools.count = 0;
	arena_close(&t->pages.arena);
}

/* Blocks. */
enum turn_step
step_pages(struct turn *t)
{
	struct turn_pages *p = &t->pages;
	struct page *list;
	struct err err;
	size_t n;

	t->tools = NULL; /* made of what goes now */
	turn_pages_free(t);
	p->arena = arena_open(PAGES_ARENA_BYTES);
	if (store_pages(t->runner->parts.store, p->arena, t->lease.user, &list,
		&n, &err) < 0) {
		log_warn("the pages of the user: %s", err.text);
		t->load_err = err;
		return TURN_ABANDONED;
	}
	page_tools_make(p->arena, list, n,
	    t->runner->parts.conf->page_timeout_ms, &p->tools);
	p->step = t->step;
	return p->after;
}
