/* SPDX-License-Identifier: MIT */
#ifndef TOOL_PAGE_H
#define TOOL_PAGE_H

#include "tool/tool.h"

/*
 * Functions of pages that the agent's user has open (store/pages.h), as tools.
 * A run asks the page and waits for at most a time; a page that says no,
 * or goes, makes it fail.
 */
extern const struct tool_kind page_kind;

/* What they are called: this, and the function's name, with _ for what
 * providers refuse, cut where it is too long for them. */
#define PAGE_PREFIX "client__"

/* Which function a tool is. */
struct page_function {
	const char *client; /* the page */
	const char *name;   /* as the page knows it */
	int64_t timeout_ms; /* of a call */
};

struct page_tools {
	struct tool *tools;
	size_t count;
};

/*
 * The tools of pages, at most PAGE_TOOLS_MAX; of several of one name the
 * first page's. What is no list of capabilities has none. A function whose
 * arguments are not said in JSON Schema (those of dialect B2), or at too great
 * length, takes any object. All of it is the arena's.
 */
#define PAGE_TOOLS_MAX 64
struct page;
void page_tools_make(struct arena *a, const struct page *pages, size_t count,
    int64_t timeout_ms, struct page_tools *out);

#endif
