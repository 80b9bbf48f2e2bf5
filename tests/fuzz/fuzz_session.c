/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as events of a session and its sub-agents, and as the records that
 * it asks for. Each line begins with what it is:
 *
 *   m  an event of the session's agent     q  the same, quietly
 *   c  one of the agent that was followed last
 *   r  the record that was wanted last; empty: there is none
 *   g  (the followed agent is gone)        l  (unloaded) L (loaded)
 *
 * Whatever is told is JSON; in each conversation text goes to the block that
 * was begun last, and only that one is completed.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "session/transcript.h"
#include "session/view.h"

#define AGENT "agt_00000000000000000000000000"
#define OPEN_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct room {
	struct session_view *view;
	char child[40];
	char call_agent[40], call[64]; /* of the last record that was wanted */
	struct {
		char conversation[64], block[BLOCK_ID_SIZE];
	} open[OPEN_MAX]; /* what streams */
	int count;
	int late; /* blocks may have begun quietly */
};

static void
must(int condition)
{
	if (!condition)
		abort();
}

/* The block that streams in a conversation; "" none, NULL: too many. */
static char *
open_at(struct room *r, const char *conversation)
{
	for (int i = 0; i < r->count; i++)
		if (strcmp(r->open[i].conversation, conversation) == 0)
			return r->open[i].block;
	if (r->count == OPEN_MAX)
		return NULL;
	snprintf(r->open[r->count].conversation,
	    sizeof(r->open[0].conversation), "%s", conversation);
	r->open[r->count].block[0] = '\0';
	return r->open[r->count++].block;
}

static int
is_said(const struct json *block)
{
	const char *type = json_get_str(block, "type");

	return strcmp(type, "thinking") == 0 ||
	       strcmp(type, "assistant_text") == 0;
}

static void
check_w1(struct room *r, const char *event, const struct json *p)
{
	const struct json *block = json_get(p, "block");
	const char *conversation = json_get_str(p, "conversationId"),
		   *id = json_get_str(p, "blockId");
	char *open;

	if (strncmp(event, "session:block:", 14) != 0 ||
	    (open = open_at(r, conversation)) == NULL)
		return;
	if (strcmp(event + 14, "delta") == 0) {
		must(strcmp(open, id) == 0);
	} else if (strcmp(event + 14, "start") == 0 && is_said(block)) {
		snprintf(open, BLOCK_ID_SIZE, "%s", json_get_str(block, "id"));
	} else if (strcmp(event + 14, "complete") == 0) {
		must(strcmp(open, is_said(block) ? id : "") == 0);
		open[0] = '\0';
	}
}

static void
take(struct room *r, const struct session_out *out, int quiet)
{
	const struct json *p;

	must(!quiet || out->first == NULL);
	for (const struct session_emit *e = out->first; e != NULL;
	     e = e->next) {
		p = json_parse(
		    out->arena, e->payload, e->len, JSON_DEPTH_MAX, NULL);
		if (p == NULL) /* it nests deeper than one may read */
			must(e->len > JSON_DEPTH_MAX);
		else if ((e->dialects & SESSION_W1) && !r->late)
			check_w1(r, e->event, p);
		must(e->dialects != 0 && e->payload[e->len] == '\0');
	}
	for (const struct session_want *w = out->wants; w != NULL;
	     w = w->next) {
		if (w->kind == SESSION_WANT_FOLLOW)
			snprintf(r->child, sizeof(r->child), "%s", w->agent);
		if (w->kind != SESSION_WANT_RECORD)
			continue;
		snprintf(r->call_agent, sizeof(r->call_agent), "%s", w->agent);
		snprintf(r->call, sizeof(r->call), "%s", w->id);
	}
}

static void
line(struct room *r, char what, const char *text, size_t len)
{
	struct arena *a = arena_open(16384);
	int quiet = what == 'q';
	struct session_out out;
	struct err err;

	session_out_init(&out, a, SESSION_ALL);
	r->late |= quiet;
	if (what == 'm' || quiet)
		session_view_feed(r->view, AGENT, text, len,
		    quiet ? SESSION_QUIET : 0, &out, &err);
	else if (what == 'c')
		session_view_feed(r->view, r->child, text, len, 0, &out, &err);
	else if (what == 'r')
		session_view_record(r->view, r->call_agent, r->call,
		    len == 0 ? NULL : text, len, &out);
	else if (what == 'g')
		session_view_gone(r->view, r->child, &out);
	else if (what == 'l' || what == 'L')
		session_view_loaded(r->view, what == 'L', "idle", 1, &out);
	take(r, &out, quiet);
	arena_close(&a);
}

/* The same lines as messages and records. */
static void
read_back(const char *text, size_t len)
{
	struct arena *a = arena_open(16384);
	struct transcript *t = transcript_new(a);
	const char *doc = arena_memdup(a, text, len);
	struct err err;
	struct buf b;

	transcript_add_messages(t, &doc, 1, &err);
	transcript_add_calls(t, &doc, 1, &err);
	buf_init(&b, a);
	json_open(&b, NULL, '{');
	transcript_add_blocks(&b, t, BLOCK_W1);
	transcript_add_state(&b, t);
	json_close(&b, '}');
	must(b.len > JSON_DEPTH_MAX ||
	     json_check(b.data, b.len, JSON_DEPTH_MAX, NULL) == 0);
	arena_close(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *end = p + size, *next;
	struct session_runtime rt = { .loaded = 1 };
	struct room *r = calloc(1, sizeof(*r));

	must(r != NULL);
	r->view = session_view_new("s", AGENT, &rt);
	for (; p < end; p = next + 1) {
		next = memchr(p, '\n', (size_t)(end - p));
		if (next == NULL)
			next = end;
		if (next == p)
			continue;
		line(r, *p, p + 1, (size_t)(next - p - 1));
		read_back(p + 1, (size_t)(next - p - 1));
	}
	session_view_free(&r->view);
	must(r->view == NULL);
	free(r);
	return 0;
}
