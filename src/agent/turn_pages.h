/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_PAGES_H
#define AGENT_TURN_PAGES_H

#include "agent/turn_step.h"
#include "tool/page.h"

struct arena;
struct turn;

/* The pages that a turn's user has open: see turn_pages.c. */
struct turn_pages {
	struct arena *arena; /* of the tools */
	struct page_tools tools;
	int step; /* that they were read for; 0: none */
	enum turn_step after;
};

/* 1 if the agent may have tools of pages, and they were not read for this
 * step. */
int turn_pages_due(const struct turn *t);

/* They are read, and then it goes on with next. */
enum turn_step turn_pages(struct turn *t, enum turn_step next);
enum turn_step step_pages(struct turn *t);

/* Forgets them; so must be the toolset that has them. */
void turn_pages_free(struct turn *t);

#endif
