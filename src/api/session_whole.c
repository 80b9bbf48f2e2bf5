/* SPDX-License-Identifier: MIT */
/*
 * A session with all that was said in it and its files: GET of one session.
 *
 * Nothing is stored for it. Blocks are made of the history, of the windows that
 * compaction left and of the records of tool calls, the files are read in the
 * workspace, or are those that are saved. What is read is bounded, as a
 * document of the history takes about ten times its bytes until it is answered;
 * where the oldest are left out for that, the answer has the member truncated.
 */
#include "config.h"

#include <string.h>

#include "api/sessions_priv.h"
#include "session/transcript.h"
#include "store/records.h"

#define PAGE 50
#define MESSAGES_MAX 10000 /* of one conversation */
#define CALLS_MAX 20000
#define BYTES_MAX (8 * 1024 * 1024) /* of messages, of calls, all of them */
#define CHILDREN_MAX 200            /* conversations of sub-agents */
#define DEPTH_MAX 16                /* of sub-agents: task.depth's */
#define TIMES_MAX 3                 /* that it is read anew */

/* What is read for one answer. */
struct whole {
	struct api_call *c;
	int children;
	int truncated;
	size_t message_bytes, call_bytes; /* that may still be read */
};

/* ---- documents ---- */

/* Messages or records of calls, the last one first. */
struct row {
	const char **docs;
	size_t count, room;
	size_t *bytes; /* that may still be read of such documents */
};

static void
row_add(struct arena *a, struct row *row, const char *doc)
{
	const char **more;

	if (row->count == row->room) {
		row->room = row->room == 0 ? PAGE : row->room * 2;
		more = arena_alloc(a, row->room * sizeof(*more));
		if (row->count > 0)
			memcpy(more, row->docs, row->count * sizeof(*more));
		row->docs = more;
	}
	row->docs[row->count++] = doc;
}

/* In the order in which they were written. */
static void
row_turn(struct row *row)
{
	const char *doc;

	for (size_t i = 0; i < row->count / 2; i++) {
		doc = row->docs[i];
		row->docs[i] = row->docs[row->count - 1 - i];
		row->docs[row->count - 1 - i] = doc;
	}
}

/* A page, from its end; 0: there is no room for all of it. */
static int
row_add_page(
    struct arena *a, struct row *row, const struct store_page *page, size_t max)
{
	size_t len;

	for (size_t i = page->count; i-- > 0;) {
		len = strlen(page->docs[i]);
		if (len > *row->bytes || row->count == max)
			return 0;
		*row->bytes -= len;
		row_add(a, row, page->docs[i]);
	}
	return 1;
}

/* ---- conversations ---- */

/* The messages of a window, or of the present history (-1), from its end: 1; 0
 * and not all of them. */
static int
read_window(struct whole *w, struct row *row, const char *agent, int64_t window,
    struct err *err)
{
	struct api_call *c = w->c;
	struct store_page page;
	int64_t from = -1;
	int limit = PAGE;

	do {
		if (store_messages(c->app->store, c->arena, c->user, agent,
			from, limit, window, &page, err) < 0)
			return -1;
		if (!row_add_page(c->arena, row, &page, MESSAGES_MAX))
			return 0;
		limit = page.from < PAGE ? (int)page.from : PAGE;
		from = page.from - limit;
	} while (limit > 0);
	return 1;
}

/* The newest are read first, and as many of the windows before them as there is
 * room for. One that retention has dropped counts nothing. */
static int
read_messages(struct whole *w, struct transcript *t, const char *agent,
    int64_t windows, struct err *err)
{
	struct row row = { .bytes = &w->message_bytes };
	int rc = read_window(w, &row, agent, -1, err);

	while (rc > 0 && windows-- > 0) {
		rc = read_window(w, &row, agent, windows, err);
		if (rc < 0 && err->code == ERR_NOT_FOUND)
			rc = 1;
	}
	if (rc < 0)
		return -1;
	w->truncated |= rc == 0;
	row_turn(&row);
	return transcript_add_messages(t, row.docs, row.count, err);
}

static int
read_calls(
    struct whole *w, struct transcript *t, const char *agent, struct err *err)
{
	struct api_call *c = w->c;
	struct row row = { .bytes = &w->call_bytes };
	struct store_page page;
	int64_t from = -1;
	int limit = PAGE;

	do {
		if (store_tool_calls(c->app->store, c->arena, c->user, agent,
			from, limit, &page, err) < 0)
			return -1;
		if (!row_add_page(c->arena, &row, &page, CALLS_MAX)) {
			w->truncated = 1;
			break;
		}
		limit = page.from < PAGE ? (int)page.from : PAGE;
		from = page.from - limit;
	} while (limit > 0);
	row_turn(&row);
	return transcript_add_calls(t, row.docs, row.count, err);
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
		w->message_bytes = w->call_bytes = BYTES_MAX;
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
