/* SPDX-License-Identifier: MIT */
/*
 * A session with all that was said in it and its files: GET of one session.
 *
 * Nothing is stored for it. Blocks are made of the history, of the windows that
 * compaction left and of the records of tool calls, the files are read in the
 * workspace, or are those that are saved. What is read is bounded; where the
 * oldest windows are left out for that, the answer has the member truncated.
 */
#include "config.h"

#include <string.h>

#include "api/sessions_priv.h"
#include "session/transcript.h"
#include "store/records.h"

#define PAGE 500
#define OLD_MESSAGES_MAX 10000 /* of windows, of one conversation */
#define CALLS_MAX 20000
#define CHILDREN_MAX 200 /* conversations of sub-agents */
#define DEPTH_MAX 16     /* of sub-agents: task.depth's */
#define TIMES_MAX 3      /* that it is read anew */

/* What is read for one answer. */
struct whole {
	struct api_call *c;
	int children;
	int truncated;
};

/* ---- conversations ---- */

/* The messages of a window, or of the present history (-1). */
static int
read_window(struct whole *w, struct transcript *t, const char *agent,
    int64_t window, struct err *err)
{
	struct api_call *c = w->c;
	struct store_page page;
	int64_t from = 0;

	do {
		if (store_messages(c->app->store, c->arena, c->user, agent,
			from, PAGE, window, &page, err) < 0)
			return -1;
		if (transcript_add_messages(t, page.docs, page.count, err) < 0)
			return -1;
		from += (int64_t)page.count;
	} while (page.count > 0 && from < page.total);
	return 0;
}

/* The oldest window that is within the bound. One that retention has dropped
 * counts nothing. 0 or -1. */
static int
first_window(struct whole *w, const char *agent, int64_t windows,
    int64_t *first_r, struct err *err)
{
	struct api_call *c = w->c;
	struct store_page page;
	int64_t count = 0;

	for (*first_r = windows; *first_r > 0; --*first_r) {
		if (store_messages(c->app->store, c->arena, c->user, agent, 0,
			0, *first_r - 1, &page, err) < 0) {
			if (err->code == ERR_NOT_FOUND)
				continue;
			return -1;
		}
		count += page.total;
		if (count > OLD_MESSAGES_MAX)
			break;
	}
	w->truncated |= *first_r > 0;
	return 0;
}

static int
read_messages(struct whole *w, struct transcript *t, const char *agent,
    int64_t windows, struct err *err)
{
	int64_t window;

	if (windows > 0 && first_window(w, agent, windows, &window, err) < 0)
		return -1;
	for (window = windows > 0 ? window : 0; window < windows; window++)
		if (read_window(w, t, agent, window, err) < 0 &&
		    err->code != ERR_NOT_FOUND)
			return -1;
	return read_window(w, t, agent, -1, err);
}

static int
read_calls(
    struct whole *w, struct transcript *t, const char *agent, struct err *err)
{
	struct api_call *c = w->c;
	struct store_page page;
	int64_t from = 0;

	do {
		if (store_tool_calls(c->app->store, c->arena, c->user, agent,
			from, PAGE, &page, err) < 0 ||
		    transcript_add_calls(t, page.docs, page.count, err) < 0)
			return -1;
		from += PAGE;
	} while (from < page.total && from < CALLS_MAX);
	w->truncated |= from < page.total;
	return 0;
}

/* All of one agent, and of its sub-agents. One that is gone has nothing. */
static int
read_agent(struct whole *w, struct transcript *t, const char *agent, int depth,
    struct err *err)
{
	struct api_call *c = w->c;
	struct transcript_child *list;
	struct transcript *child;
	struct store_agent ag;
	size_t count;

	if (store_agent_get(c->app->store, c->arena, c->user, agent, &ag, err) <
		0 ||
	    read_messages(w, t, agent, ag.windows, err) < 0 ||
	    read_calls(w, t, agent, err) < 0)
		return -1;
	count = transcript_children(t, &list);
	for (size_t i = 0; i < count && depth < DEPTH_MAX; i++) {
		if (++w->children > CHILDREN_MAX) {
			w->truncated = 1;
			break;
		}
		child = transcript_add_child(t, list[i].call);
		if (child != NULL &&
		    read_agent(w, child, list[i].agent, depth + 1, err) < 0 &&
		    err->code != ERR_FORBIDDEN)
			return -1;
	}
	return 0;
}

/* How often its history was compacted. */
static int
windows_of(struct api_call *c, int64_t *windows_r, struct err *err)
{
	struct store_agent ag;

	if (store_agent_get(c->app->store, c->arena, c->user, c->rq->param[0],
		&ag, err) < 0)
		return -1;
	*windows_r = ag.windows;
	return 0;
}

/* The conversation, as of a moment between two compactions. */
static int
read_session(struct whole *w, struct transcript **t_r, struct err *err)
{
	int64_t before, after;
	int times = 0;

	do {
		w->children = w->truncated = 0;
		*t_r = transcript_new(w->c->arena);
		if (windows_of(w->c, &before, err) < 0 ||
		    read_agent(w, *t_r, w->c->rq->param[0], 0, err) < 0 ||
		    windows_of(w->c, &after, err) < 0)
			return -1;
	} while (before != after && ++times < TIMES_MAX);
	return 0;
}

static int
is_live(const struct api_call *c)
{
	const char *view = http_query(c->rq, "view");

	return view != NULL && strcmp(view, "live") == 0;
}

int
session_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct whole w = { .c = c };
	struct buf *b = &c->rs->body;
	struct store_session s;
	struct transcript *t;
	const char *id;

	if (is_live(c))
		return session_get_live(c, err);
	if (session_find(c, &id, &s, err) < 0 ||
	    store_session_load(
		c->app->store, c->arena, c->user, c->rq->param[0], err) < 0 ||
	    read_session(&w, &t, err) < 0)
		return session_fail(
		    c, err, "Failed to get session", "SESSION_GET_FAILED");
	s.loaded = 1; /* by this */
	http_json(c->rs, 200);
	json_open(b, NULL, '{');
	session_add_item(b, &s);
	transcript_add_blocks(b, t, BLOCK_W1);
	transcript_add_subagents(b, t, BLOCK_W1);
	session_add_files(c, b);
	transcript_add_state(b, t);
	if (w.truncated)
		json_add_bool(b, "truncated", 1);
	json_close(b, '}');
	return 0;
}
