/* SPDX-License-Identifier: MIT */
/*
 * Sessions' rooms: recorded sessions in every order that several logs and late
 * records can come in, from the begin and from the middle, for clients that
 * know the rules; and what has not been recorded, made up.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "session/transcript.h"
#include "session/view.h"
#include "session_client.h"
#include "session_run.h"

#define SESSION "46adb5ce-54f3-4a27-b3cb-40bf2d6a1ae5"
#define AGENT "agt_00000000000000000000000000"
#define CHILD "agt_11111111111111111111111111"
#define FEEDS_MAX 16

static struct arena *arena;

/* ---- a room and its two clients ---- */

struct source {
	const char *agent;
	const char **events;
	size_t at, count;
	int flags;
};

struct room {
	const struct json *doc;
	struct session_view *view;
	struct client *w1, *w3;
	struct source sources[FEEDS_MAX]; /* logs that are followed */
	size_t source_count;
	struct session_want records[FEEDS_MAX]; /* that were not given yet */
	size_t record_count;
	struct session_want files[FEEDS_MAX];
	size_t file_count;
	int left;
};

static void
room_open(struct room *r, const struct json *doc, const char *agent, int late)
{
	struct session_runtime rt = { .loaded = 1 };

	*r = (struct room){ .doc = doc };
	r->view = session_view_new(SESSION, agent, &rt);
	r->w1 = client_new(arena, SESSION_W1, late ? CLIENT_LATE : 0);
	r->w3 = client_new(arena, SESSION_W3, late ? CLIENT_LATE : 0);
}

static void
room_follow(struct room *r, const char *agent, int quiet)
{
	struct source *s = &r->sources[r->source_count++];
	const struct json *its = session_agent(r->doc, agent);

	assert_true(r->source_count <= FEEDS_MAX);
	s->agent = agent;
	s->events = session_texts(arena, json_get(its, "events"), &s->count);
	s->flags = quiet ? SESSION_QUIET : 0;
}

static void
room_take(struct room *r, const struct session_out *out)
{
	client_take(r->w1, out);
	client_take(r->w3, out);
	for (const struct session_want *w = out->wants; w != NULL;
	     w = w->next) {
		if (w->kind == SESSION_WANT_RECORD)
			r->records[r->record_count++] = *w;
		else if (w->kind == SESSION_WANT_FILE)
			r->files[r->file_count++] = *w;
		else if (w->kind == SESSION_WANT_LEAVE)
			r->left++;
		else if (r->doc != NULL)
			room_follow(r, w->agent, w->quiet);
	}
	assert_true(r->record_count < FEEDS_MAX && r->file_count < FEEDS_MAX);
}

static void
room_feed(struct room *r, const char *agent, const char *json, int flags)
{
	struct session_out out;
	struct err err;

	session_out_init(&out, arena, SESSION_ALL);
	assert_int_equal(session_view_feed(r->view, agent, json, strlen(json),
			     flags, &out, &err),
	    0);
	if (flags & SESSION_QUIET)
		assert_null(out.first);
	room_take(r, &out);
}

static const char *
record_of(const struct room *r, const struct session_want *w)
{
	const struct json *list =
	    json_get(session_agent(r->doc, w->agent), "calls");
	struct buf b;

	for (const struct json *c = json_first(list); c != NULL;
	     c = json_next(c))
		if (strcmp(json_get_str(c, "id"), w->id) == 0) {
			buf_init(&b, arena);
			json_print(&b, c);
			return b.data;
		}
	fail_msg("there is no record of %s", w->id);
	return NULL;
}

static void
room_give(struct room *r, size_t i, const char *json)
{
	struct session_want w = r->records[i];
	struct session_out out;

	r->records[i] = r->records[--r->record_count];
	session_out_init(&out, arena, SESSION_ALL);
	session_view_record(r->view, w.agent, w.id, json,
	    json == NULL ? 0 : strlen(json), &out);
	room_take(r, &out);
}

static void
source_step(struct room *r, struct source *s)
{
	room_feed(r, s->agent, s->events[s->at], s->flags);
	s->at++;
}

/* A number that is the same in every run. */
static unsigned
dice(unsigned *seed, unsigned sides)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % sides;
}

/* All that is left, in an order of its own: any of the logs, or a record. */
static void
room_run(struct room *r, unsigned seed)
{
	for (;;) {
		size_t live[FEEDS_MAX], n = 0, pick;

		for (size_t i = 0; i < r->source_count; i++)
			if (r->sources[i].at < r->sources[i].count)
				live[n++] = i;
		if (n + r->record_count == 0)
			return;
		pick = dice(&seed, (unsigned)(n + r->record_count));
		if (pick < n)
			source_step(r, &r->sources[live[pick]]);
		else
			room_give(
			    r, pick - n, record_of(r, &r->records[pick - n]));
	}
}

/* ---- recorded ---- */

static const char *const recorded[] = { "work", "two", "file", "ask", "kill",
	"compact" };
#define RECORDED (sizeof(recorded) / sizeof(recorded[0]))

/* What an answer that failed has shown is in no history. */
static int
is_unkept(const char *text)
{
	return strstr(text, "half an answer") != NULL;
}

static int
is_type(const struct json *block, const char *type)
{
	return strcmp(json_get_str(block, "type"), type) == 0;
}

/* The blocks that REST has, errors left out: sockets tell of those apart. The
 * block of a sub-agent is made by later clients themselves. */
static const char **
rest_blocks(const struct json *blocks, int w3, size_t *count_r)
{
	const char **out =
	    arena_alloc(arena, (json_count(blocks) + 1) * sizeof(*out));

	*count_r = 0;
	for (const struct json *b = json_first(blocks); b != NULL;
	     b = json_next(b))
		if (!is_type(b, "error") && !(w3 && is_type(b, "subagent")))
			out[(*count_r)++] = client_block_text(arena, b);
	return out;
}

static void
expect_blocks(const struct client *c, const char *conversation,
    const struct json *blocks, int w3)
{
	size_t n, m, i = 0;
	const char **told = client_blocks(c, conversation, &n),
		   **rest = rest_blocks(blocks, w3, &m);

	for (size_t k = 0; k < n; k++)
		if (!is_unkept(told[k])) {
			assert_true(i < m);
			assert_string_equal(told[k], rest[i++]);
		}
	assert_int_equal(i, m);
}

static void
expect_rest(const struct room *r)
{
	struct transcript *t = session_transcript(arena, r->doc);
	const struct json *j, *later;
	struct buf b;

	buf_init(&b, arena);
	json_open(&b, NULL, '{');
	transcript_add_blocks(&b, t, BLOCK_W1);
	transcript_add_subagents(&b, t, BLOCK_W1);
	transcript_add_state(&b, t);
	json_close(&b, '}');
	j = json_parse(arena, b.data, b.len, JSON_DEPTH_MAX, NULL);
	expect_blocks(r->w1, "main", json_get(j, "blocks"), 0);
	for (const struct json *s = json_first(json_get(j, "subagents"));
	     s != NULL; s = json_next(s))
		expect_blocks(
		    r->w1, json_get_str(s, "id"), json_get(s, "blocks"), 0);
	later = json_get(j, "conversationState");
	expect_blocks(r->w3, "main", json_get(later, "blocks"), 1);
	for (const struct json *s = json_first(json_get(later, "subagents"));
	     s != NULL; s = json_next(s))
		expect_blocks(r->w3, json_get_str(s, "toolUseId"),
		    json_get(s, "blocks"), 1);
}

/* Whatever the order, clients are told what REST has, once. */
static void
test_recorded(void **state)
{
	struct room r;

	(void)state;
	for (size_t i = 0; i < RECORDED; i++)
		for (unsigned seed = 0; seed < 40; seed++) {
			const struct json *doc =
			    session_load(arena, recorded[i]);

			room_open(&r, doc, json_get_str(doc, "agent"), 0);
			room_follow(&r, json_get_str(doc, "agent"), 0);
			room_run(&r, seed);
			client_is_idle(r.w1);
			client_is_idle(r.w3);
			expect_rest(&r);
			assert_int_equal(r.left, (int)r.source_count - 1);
			session_view_free(&r.view);
			arena_reset(arena);
		}
}

/* ---- workers that die ---- */

/* An event with another id, and of a text another part. */
static const char *
again(const struct json *event, int epoch, int at, const char *text, size_t len)
{
	struct buf b;

	buf_init(&b, arena);
	json_open(&b, NULL, '{');
	for (const struct json *m = json_first(event); m != NULL;
	     m = json_next(m)) {
		if (strcmp(json_name(m), "id") == 0)
			json_add_str(
			    &b, "id", arena_printf(arena, "%d-%d", epoch, at));
		else if (strcmp(json_name(m), "text") == 0 && text != NULL)
			json_add_strn(&b, "text", text, len);
		else
			json_add_json(&b, json_name(m), m);
	}
	json_close(&b, '}');
	return b.data;
}

/* What the log of a session would be, had its workers died. */
struct rewrite {
	const char **out;
	size_t count;
	unsigned seed;
	int epoch;
};

static void
rewrite_add(
    struct rewrite *w, const struct json *event, const char *text, size_t len)
{
	assert_true(w->count < 2000);
	w->out[w->count] = again(event, w->epoch, (int)w->count, text, len);
	w->count++;
}

static int
is_chunk(const struct json *event)
{
	const char *kind = json_get_str(event, "kind");

	return strcmp(kind, "think_chunk") == 0 ||
	       strcmp(kind, "text_chunk") == 0;
}

/* The chunks from first on, in pieces; at most max bytes of them. */
static void
rewrite_answer(struct rewrite *w, const struct json *first, size_t max)
{
	for (const struct json *e = first; e != NULL && is_chunk(e) && max > 0;
	     e = json_next(e)) {
		const char *text = json_get_str(e, "text");
		size_t left = strlen(text);

		while (left > 0 && max > 0) {
			size_t n = 1 + dice(&w->seed, (unsigned)left);

			if (n > max)
				n = max;
			rewrite_add(w, e, text, n);
			text += n;
			left -= n;
			max -= n;
		}
	}
}

static void
rewrite_reset(struct rewrite *w, const struct json *first)
{
	const char *text;
	int64_t step;

	assert_int_equal(json_get_int(first, "step", &step), 1);
	text = arena_printf(arena,
	    "{\"channel\":\"progress\",\"kind\":\"stream_reset\",\"id\":"
	    "\"\",\"turn\":\"%s\",\"step\":%d,\"time\":1}",
	    json_get_str(first, "turn"), (int)step);
	w->epoch++;
	rewrite_add(w, json_parse(arena, text, strlen(text), 4, NULL), NULL, 0);
}

/* Each answer is cut up to three times, then made whole. */
static const char **
rewrite_log(const struct json *events, unsigned seed, size_t *count_r)
{
	struct rewrite w = { .seed = seed, .epoch = 1 };
	const struct json *e = json_first(events);

	w.out = arena_alloc(arena, 2000 * sizeof(*w.out));
	while (e != NULL) {
		if (!is_chunk(e)) {
			rewrite_add(&w, e, NULL, 0);
			e = json_next(e);
			continue;
		}
		for (unsigned n = dice(&w.seed, 4); n > 0; n--) {
			rewrite_answer(&w, e, dice(&w.seed, 60));
			rewrite_reset(&w, e);
		}
		rewrite_answer(&w, e, SIZE_MAX);
		while (e != NULL && is_chunk(e))
			e = json_next(e);
	}
	*count_r = w.count;
	return w.out;
}

/* At whatever moments workers die, clients are told each block once, in order,
 * and have in the end what REST has. */
static void
test_deaths(void **state)
{
	static const char *const names[] = { "work", "two", "file", "ask",
		"compact" };
	struct room r;

	(void)state;
	for (unsigned seed = 0; seed < 150; seed++) {
		const struct json *doc = session_load(arena, names[seed % 5]);
		const char *agent = json_get_str(doc, "agent");
		struct source *s = &r.sources[0];

		room_open(&r, doc, agent, 0);
		room_follow(&r, agent, 0);
		s->events =
		    rewrite_log(json_get(session_agent(doc, agent), "events"),
			seed, &s->count);
		room_run(&r, seed);
		client_is_idle(r.w1);
		client_is_idle(r.w3);
		expect_rest(&r);
		session_view_free(&r.view);
		arena_reset(arena);
	}
}

/* ---- from the middle ---- */

/* Each of a row, in its order, somewhere in the other. */
static void
expect_part(const char **part, size_t n, const char **all, size_t m, int suffix)
{
	size_t k = suffix ? m - n : 0;

	assert_true(n <= m);
	for (size_t i = 0; i < n; i++) {
		while (k < m && strcmp(part[i], all[k]) != 0 && !suffix)
			k++;
		assert_true(k < m);
		assert_string_equal(part[i], all[k++]);
	}
}

/* Of a session from its k-th event on; those before it fed quietly, or not. */
static size_t
run_from(struct room *r, const struct json *doc, size_t k, int quiet)
{
	struct source *s;

	room_open(r, doc, json_get_str(doc, "agent"), 1);
	room_follow(r, json_get_str(doc, "agent"), 0);
	s = &r->sources[0];
	for (s->at = 0; s->at < k && s->at < s->count; s->at++)
		if (quiet)
			room_feed(r, s->agent, s->events[s->at], SESSION_QUIET);
	room_run(r, (unsigned)k);
	client_is_idle(r->w1);
	client_is_idle(r->w3);
	return s->count;
}

static void
test_from_the_middle(void **state)
{
	(void)state;
	for (size_t i = 0; i < RECORDED; i++)
		for (size_t k = 0, n = 1; k < n; k++) {
			const struct json *doc =
			    session_load(arena, recorded[i]);
			struct room whole, quiet, bare;
			const char **all, **part;
			size_t m, l;

			n = run_from(&whole, doc, 0, 0);
			all = client_blocks(whole.w1, "main", &m);
			run_from(&quiet, doc, k, 1);
			part = client_blocks(quiet.w1, "main", &l);
			expect_part(part, l, all, m, 1);
			run_from(&bare, doc, k, 0);
			part = client_blocks(bare.w1, "main", &l);
			expect_part(part, l, all, m, 0);
			session_view_free(&whole.view);
			session_view_free(&quiet.view);
			session_view_free(&bare.view);
			arena_reset(arena);
		}
}

/* Events that come twice, as after a reconnect, are passed over. */
static void
test_twice(void **state)
{
	const struct json *doc = session_load(arena, "kill");
	struct source *s;
	struct room r;

	(void)state;
	room_open(&r, doc, json_get_str(doc, "agent"), 0);
	room_follow(&r, json_get_str(doc, "agent"), 0);
	s = &r.sources[0];
	for (size_t at = 0; at < s->count; at++)
		for (size_t k = at < 9 ? 0 : at - 9; k <= at; k++)
			room_feed(&r, s->agent, s->events[k], 0);
	while (r.record_count > 0)
		room_give(&r, 0, record_of(&r, &r.records[0]));
	client_is_idle(r.w1);
	expect_rest(&r);
	session_view_free(&r.view);
}

static void
test_files(void **state)
{
	const struct json *doc = session_load(arena, "file");
	struct emit_head h = { SESSION, NULL, 1795188805493 };
	struct session_out out;
	struct room r;

	(void)state;
	room_open(&r, doc, json_get_str(doc, "agent"), 0);
	room_follow(&r, json_get_str(doc, "agent"), 0);
	room_run(&r, 1);
	assert_int_equal(r.file_count, 2);
	assert_string_equal(r.files[0].id, "a/b.txt");
	assert_string_equal(r.files[0].change, "created");
	session_out_init(&out, arena, SESSION_ALL);
	emit_file(&out, &h, "modified", "a", "x\n", 2);
	emit_file(&out, &h, "created", "b", "\xff", 1);
	emit_file(&out, &h, "deleted", "c", NULL, 0);
	assert_string_equal(out.first->event, "session:file:modified");
	assert_string_equal(out.first->payload,
	    "{\"sessionId\":\"" SESSION "\",\"file\":{\"path\":\"a\","
	    "\"content\":\"x\\n\"}}");
	assert_string_equal(out.first->next->payload,
	    "{\"type\":\"file:modified\",\"payload\":{\"file\":{\"path\":"
	    "\"a\",\"content\":\"x\\n\"}},\"context\":{\"sessionId\":"
	    "\"" SESSION "\",\"source\":\"server\",\"timestamp\":"
	    "\"2026-11-20T15:33:25.493Z\"}}");
	assert_string_equal(out.first->next->next->payload,
	    "{\"sessionId\":\"" SESSION "\",\"file\":{\"path\":\"b\"}}");
	assert_string_equal(out.last->payload,
	    "{\"type\":\"file:deleted\",\"payload\":{\"path\":\"c\"},"
	    "\"context\":{\"sessionId\":\"" SESSION "\",\"source\":\"server\","
	    "\"timestamp\":\"2026-11-20T15:33:25.493Z\"}}");
	session_view_free(&r.view);
}

/* ---- made up ---- */

static int seq;

/* An event of the turn "t" and what comes of it. */
static void
ev(struct room *r, const char *agent, const char *kind, int step,
    const char *rest)
{
	seq++;
	room_feed(r, agent,
	    arena_printf(arena,
		"{\"channel\":\"progress\",\"kind\":\"%s\",\"id\":\"1-%d\","
		"\"turn\":\"%s\",\"step\":%d,\"time\":%d%s}",
		kind, seq, strcmp(agent, AGENT) == 0 ? "t" : "u", step,
		1000 + seq, rest),
	    0);
}

static void
say(struct room *r, const char *kind, int step, const char *text)
{
	ev(r, AGENT, kind, step, arena_printf(arena, ",\"text\":\"%s\"", text));
}

static void
begin(struct room *r)
{
	seq = 0;
	room_open(r, NULL, AGENT, 0);
	ev(r, AGENT, "message_accepted", 0,
	    ",\"messageId\":\"m\",\"content\":[{\"type\":\"text\",\"text\":"
	    "\"hi\"}]");
	ev(r, AGENT, "turn_start", 0, "");
}

static void
end(struct room *r, const char *rest)
{
	ev(r, AGENT, "done", 1, rest);
	client_is_idle(r->w1);
	client_is_idle(r->w3);
	session_view_free(&r->view);
}

/* The trace behind the first block. */
static void
expect_trace(const struct client *c, const char *text)
{
	const char *all = strstr(client_trace(c), "start m\ncomplete m\n");

	assert_non_null(all);
	assert_string_equal(all + 19, text);
}

#define DONE ",\"reason\":\"completed\""
#define USED ",\"input\":15,\"output\":5,\"cached\":3,\"cacheWrite\":2"

static void
test_turn(void **state)
{
	struct room r;

	(void)state;
	begin(&r);
	say(&r, "think_chunk", 1, "T");
	say(&r, "text_chunk", 1, "Hel");
	say(&r, "text_chunk", 1, "lo");
	ev(&r, AGENT, "token_usage", 1,
	    ",\"model\":\"x\",\"cost\":0.0123" USED);
	ev(&r, AGENT, "step_complete", 1, "");
	say(&r, "text_chunk", 2, "!");
	ev(&r, AGENT, "token_usage", 2, ",\"model\":\"x\",\"cost\":0.01" USED);
	end(&r, DONE);
	assert_string_equal(client_trace(r.w1),
	    "status Preparing...\nstatus Creating sandbox container...\n"
	    "status Setting up session files...\n"
	    "status Initializing file watchers...\nstatus Ready\n"
	    "start m\ncomplete m\nstart t-1-thinking-0\n"
	    "delta t-1-thinking-0 T\ncomplete t-1-thinking-0\n"
	    "start t-1-text-0\ndelta t-1-text-0 Hel\ndelta t-1-text-0 lo\n"
	    "complete t-1-text-0\n"
	    "metadata {\"usage\":{\"inputTokens\":10,\"outputTokens\":5,"
	    "\"cacheReadTokens\":3,\"cacheWriteTokens\":2,\"totalTokens\":15},"
	    "\"model\":\"x\"}\nstart t-2-text-0\ndelta t-2-text-0 !\n"
	    "complete t-2-text-0\n"
	    "metadata {\"usage\":{\"inputTokens\":20,\"outputTokens\":10,"
	    "\"cacheReadTokens\":6,\"cacheWriteTokens\":4,\"totalTokens\":30},"
	    "\"model\":\"x\"}\n"
	    "metadata {\"usage\":{\"inputTokens\":20,\"outputTokens\":10,"
	    "\"cacheReadTokens\":6,\"cacheWriteTokens\":4,\"totalTokens\":30},"
	    "\"costUSD\":0.0223,\"model\":\"x\"}\n");
	assert_string_equal(client_trace(r.w3),
	    "ee:creating\nstatus\nquery:started\nstatus\nstatus\nstatus\n"
	    "status\nee:ready\nstatus\nupsert m complete\n"
	    "upsert t-1-thinking-0 pending\ndelta t-1-thinking-0\n"
	    "upsert t-1-thinking-0 complete\nupsert t-1-text-0 pending\n"
	    "delta t-1-text-0\ndelta t-1-text-0\n"
	    "upsert t-1-text-0 complete\nmetadata:update\n"
	    "upsert t-2-text-0 pending\ndelta t-2-text-0\n"
	    "upsert t-2-text-0 complete\nmetadata:update\nmetadata:update\n"
	    "query:completed\nstatus\nsession:idle\n");
}

/* The same blocks again; another text where one was complete is an update. */
static void
test_reset(void **state)
{
	struct room r;

	(void)state;
	begin(&r);
	say(&r, "think_chunk", 1, "one");
	say(&r, "text_chunk", 1, "par");
	ev(&r, AGENT, "agent_resumed", 1, ",\"state\":\"STREAMING\"");
	ev(&r, AGENT, "stream_reset", 1, "");
	say(&r, "think_chunk", 1, "t");
	say(&r, "think_chunk", 1, "wo");
	say(&r, "text_chunk", 1, "whole");
	ev(&r, AGENT, "step_complete", 1, "");
	end(&r, DONE);
	expect_trace(r.w1, "start t-1-thinking-0\ndelta t-1-thinking-0 one\n"
			   "complete t-1-thinking-0\nstart t-1-text-0\n"
			   "delta t-1-text-0 par\nstart t-1-text-0\n"
			   "update t-1-thinking-0 two\nstart t-1-text-0\n"
			   "delta t-1-text-0 whole\ncomplete t-1-text-0\n");
}

/* It begins again and is interrupted before it says anything: clients are not
 * left with a block that streams. */
static void
test_reset_and_end(void **state)
{
	struct room r;

	(void)state;
	begin(&r);
	say(&r, "text_chunk", 1, "par");
	ev(&r, AGENT, "stream_reset", 1, "");
	end(&r, ",\"reason\":\"interrupted\"");
	expect_trace(r.w1, "start t-1-text-0\ndelta t-1-text-0 par\n"
			   "start t-1-text-0\ncomplete t-1-text-0\n");
	begin(&r);
	say(&r, "think_chunk", 1, "T");
	say(&r, "text_chunk", 1, "par");
	ev(&r, AGENT, "stream_reset", 1, "");
	say(&r, "think_chunk", 1, "T");
	end(&r, ",\"reason\":\"interrupted\"");
	expect_trace(r.w1,
	    "start t-1-thinking-0\ndelta t-1-thinking-0 T\n"
	    "complete t-1-thinking-0\nstart t-1-text-0\ndelta t-1-text-0 "
	    "par\nstart t-1-text-0\ncomplete t-1-text-0\n");
}

/* What was thought is not thought again, and something else is said. */
static void
test_reset_differs(void **state)
{
	struct room r;
	size_t n;
	const char **w1, **w3;

	(void)state;
	begin(&r);
	say(&r, "think_chunk", 1, "one");
	say(&r, "text_chunk", 1, "par");
	ev(&r, AGENT, "stream_reset", 1, "");
	ev(&r, AGENT, "stream_reset", 1, "");
	say(&r, "text_chunk", 1, "other");
	ev(&r, AGENT, "step_complete", 1, "");
	end(&r, DONE);
	w1 = client_blocks(r.w1, "main", &n);
	assert_int_equal(n, 3);
	assert_non_null(strstr(w1[1], "content=\"\""));
	assert_non_null(strstr(w1[2], "content=\"other\""));
	w3 = client_blocks(r.w3, "main", &n);
	assert_int_equal(n, 3);
	assert_non_null(strstr(w3[1], "content=\"\""));
	assert_non_null(strstr(w3[2], "content=\"other\""));

	begin(&r); /* now it thinks, and says nothing */
	say(&r, "text_chunk", 1, "par");
	ev(&r, AGENT, "stream_reset", 1, "");
	say(&r, "think_chunk", 1, "T");
	ev(&r, AGENT, "step_complete", 1, "");
	end(&r, DONE);
	expect_trace(r.w1,
	    "start t-1-text-0\ndelta t-1-text-0 par\nstart t-1-text-0\n"
	    "start t-1-thinking-0\ndelta t-1-thinking-0 T\n"
	    "complete t-1-thinking-0\n");
	w3 = client_blocks(r.w3, "main", &n);
	assert_non_null(strstr(w3[1], "content=\"\""));
}

#define CALL(id, state, more)                                                  \
	",\"call\":{\"id\":\"" id "\",\"name\":\"n\",\"state\":\"" state       \
	"\",\"createdAt\":5" more "}"

static void
test_calls(void **state)
{
	struct room r;
	size_t n;
	const char **blocks;

	(void)state;
	begin(&r);
	ev(&r, AGENT, "tool:start", 1,
	    CALL("a", "APPROVAL_REQUIRED",
		",\"inputPreview\":\"{\\\"x\\\":1}\""));
	ev(&r, AGENT, "permission_required", 1,
	    CALL("a", "APPROVAL_REQUIRED", ""));
	ev(&r, AGENT, "tool:start", 1,
	    CALL("b", "EXECUTING", ",\"inputPreview\":\"{\\\"cut\""));
	assert_int_equal(r.record_count, 1);
	ev(&r, AGENT, "tool:start", 1,
	    CALL("c", "EXECUTING", ",\"inputPreview\":\"{}\""));
	ev(&r, AGENT, "tool:complete", 1,
	    CALL("c", "FAILED", ",\"result\":{\"ok\":false}"));
	ev(&r, AGENT, "tool:complete", 1, CALL("b", "COMPLETED", ""));
	assert_int_equal(r.record_count, 1);
	assert_string_equal(r.records[0].id, "b");
	room_give(&r, 0, "{\"id\":\"b\",\"input\":{\"cut\":\"no\"}}");
	assert_int_equal(r.record_count, 1); /* its result is not there */
	room_give(&r, 0,
	    "{\"id\":\"b\",\"state\":\"COMPLETED\",\"durationMs\":3,"
	    "\"result\":{\"ok\":true}}");
	ev(&r, AGENT, "tool:start", 1, CALL("c", "EXECUTING", ""));
	ev(&r, AGENT, "tool:complete", 1,
	    CALL("c", "COMPLETED", ",\"result\":1"));
	ev(&r, AGENT, "tool:complete", 1,
	    CALL("a", "SEALED", ",\"result\":{\"ok\":false}"));
	end(&r, ",\"reason\":\"interrupted\"");
	expect_trace(r.w1,
	    "start a\ncomplete a\nstart b\ncomplete b\nstart c\ncomplete c\n"
	    "update c error\ncomplete c-result\nupdate b success\n"
	    "complete b-result\nupdate a error\ncomplete a-result\n");
	blocks = client_blocks(r.w1, "main", &n);
	assert_string_equal(blocks[2],
	    "id=\"b\" type=\"tool_use\" toolName=\"n\" toolUseId=\"b\" "
	    "input={\"cut\":\"no\"} status=\"success\" ");
	assert_string_equal(blocks[5],
	    "id=\"b-result\" type=\"tool_result\" toolUseId=\"b\" "
	    "output={\"ok\":true} isError=false durationMs=3 ");
}

/* A record that is not to be had: the call is told without its input. What is
 * kept behind it has a bound. */
static void
test_no_record(void **state)
{
	char text[60000];
	struct room r;

	(void)state;
	begin(&r);
	ev(&r, AGENT, "tool:start", 1,
	    CALL("b", "EXECUTING", ",\"inputPreview\":\"{\\\"cut\""));
	room_give(&r, 0, NULL);
	ev(&r, AGENT, "tool:start", 1,
	    CALL("c", "EXECUTING", ",\"inputPreview\":\"[\""));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < SESSION_KEPT_BYTES / (int)sizeof(text); i++)
		say(&r, "text_chunk", 2, text);
	assert_null(strstr(client_trace(r.w1), "start c"));
	say(&r, "text_chunk", 2, text);
	assert_non_null(strstr(client_trace(r.w1), "complete c"));
	room_give(&r, 0, "{\"id\":\"c\",\"input\":{}}"); /* too late */
	end(&r, DONE);
}

static void
test_failures(void **state)
{
	static const struct {
		const char *event, *done, *trace;
	} rows[] = {
		{ ",\"type\":\"rate_limit_error\",\"message\":\"too many\"",
		    ",\"reason\":\"error\"",
		    "error RATE_LIMIT_ERROR too many\n" },
		{ NULL, ",\"reason\":\"error\"",
		    "error TURN_FAILED the turn failed\n" },
		{ NULL, ",\"reason\":\"limit\",\"limit\":\"tool.rounds\"",
		    "error LIMIT_REACHED the turn has reached a limit: "
		    "tool.rounds\n" },
		{ NULL, ",\"reason\":\"budget\",\"budget\":\"budget.user_day\"",
		    "error BUDGET_USED_UP a budget is used up: "
		    "budget.user_day\n" },
		{ NULL, ",\"reason\":\"interrupted\"", "" },
	};
	struct room r;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(&r);
		say(&r, "text_chunk", 1, "half");
		if (rows[i].event != NULL)
			ev(&r, AGENT, "error", 1, rows[i].event);
		end(&r, rows[i].done);
		expect_trace(
		    r.w1, arena_printf(arena,
			      "start t-1-text-0\ndelta t-1-text-0 half\n"
			      "complete t-1-text-0\n%s",
			      rows[i].trace));
	}
	begin(&r); /* a message that was withdrawn had no turn */
	ev(&r, AGENT, "done", 0, ",\"reason\":\"withdrawn\"");
	assert_null(strstr(client_trace(r.w3), "query:completed"));
	end(&r, DONE);
}

/* One that ends before its log was read, and one that is gone. */
static void
test_subagents(void **state)
{
	struct session_out out;
	struct room r;

	(void)state;
	begin(&r);
	ev(&r, AGENT, "tool:start", 1,
	    CALL("a", "EXECUTING",
		",\"inputPreview\":\"{\\\"prompt\\\":\\\"go\\\"}\""));
	ev(&r, CHILD, "text_chunk", 1, ",\"text\":\"nobody listens\"");
	ev(&r, AGENT, "subagent:start", 1,
	    ",\"agent\":\"" CHILD "\"" CALL("a", "EXECUTING", ""));
	ev(&r, AGENT, "subagent:start", 1,
	    ",\"agent\":\"" CHILD "\"" CALL("a", "EXECUTING", ""));
	ev(&r, CHILD, "message_accepted", 0, ",\"messageId\":\"q\"");
	ev(&r, CHILD, "text_chunk", 1, ",\"text\":\"1\"");
	ev(&r, AGENT, "tool:complete", 1,
	    CALL("a", "COMPLETED",
		",\"result\":{\"ok\":true,\"data\":{\"text\":\"12\"}}"));
	say(&r, "text_chunk", 2, "A");
	ev(&r, CHILD, "text_chunk", 1, ",\"text\":\"2\"");
	say(&r, "text_chunk", 2, "B");
	assert_int_equal(r.left, 0);
	session_out_init(&out, arena, SESSION_ALL);
	session_view_gone(r.view, CHILD, &out);
	room_take(&r, &out);
	assert_int_equal(r.left, 1);
	end(&r, DONE);
	expect_trace(r.w1,
	    "start a\ncomplete a\ndiscovered\nstart u-1-text-0\n"
	    "delta u-1-text-0 1\nupdate a success\ncomplete a-result\n"
	    "complete subagent-block-a\nstart t-2-text-0\n"
	    "delta t-2-text-0 A\ndelta u-1-text-0 2\ndelta t-2-text-0 B\n"
	    "complete u-1-text-0\nended completed\ncomplete t-2-text-0\n");
}

static void
next_turn(struct room *r, int n)
{
	room_feed(r, AGENT,
	    arena_printf(arena,
		"{\"channel\":\"progress\",\"kind\":\"message_accepted\","
		"\"id\":\"%d-0\",\"turn\":\"t%d\",\"step\":0,\"time\":2000,"
		"\"messageId\":\"n%d\",\"content\":[]}",
		n, n, n),
	    0);
	room_feed(r, AGENT,
	    arena_printf(arena,
		"{\"channel\":\"progress\",\"kind\":\"done\",\"id\":\"%d-1\","
		"\"turn\":\"t%d\",\"step\":1,\"time\":2001" DONE "}",
		n, n),
	    0);
}

/* One that was interrupted with its maker may end when the next turn has begun.
 * If its end never comes, what streams there is complete before it is over. */
static void
test_late_subagent(void **state)
{
	static const char *const ends[] = {
		"delta u-1-text-0 2\ncomplete u-1-text-0\nended failed\n",
		"complete u-1-text-0\nended failed\n",
	};
	struct room r;

	(void)state;
	for (int lost = 0; lost < 2; lost++) {
		begin(&r);
		ev(&r, AGENT, "tool:start", 1,
		    CALL("a", "EXECUTING",
			",\"inputPreview\":\"{\\\"prompt\\\":\\\"go\\\"}\""));
		ev(&r, AGENT, "subagent:start", 1,
		    ",\"agent\":\"" CHILD "\"" CALL("a", "EXECUTING", ""));
		ev(&r, CHILD, "message_accepted", 0, ",\"messageId\":\"q\"");
		ev(&r, CHILD, "text_chunk", 1, ",\"text\":\"1\"");
		ev(&r, AGENT, "tool:complete", 1,
		    CALL("a", "SEALED", ",\"result\":{\"ok\":false}"));
		ev(&r, AGENT, "done", 1, ",\"reason\":\"interrupted\"");
		next_turn(&r, 2);
		if (!lost) {
			ev(&r, CHILD, "text_chunk", 1, ",\"text\":\"2\"");
			ev(&r, CHILD, "done", 1, ",\"reason\":\"interrupted\"");
		}
		next_turn(&r, 3);
		assert_int_equal(r.left, 1);
		client_is_idle(r.w1);
		client_is_idle(r.w3);
		session_view_free(&r.view);
		expect_trace(r.w1, arena_printf(arena,
				       "start a\ncomplete a\ndiscovered\n"
				       "start u-1-text-0\ndelta u-1-text-0 1\n"
				       "update a error\ncomplete a-result\n"
				       "complete subagent-block-a\nstart n2\n"
				       "complete n2\n%sstart n3\ncomplete n3\n",
				       ends[lost]));
	}
}

/* What was missed is not told; what comes after it is. */
static void
test_gap(void **state)
{
	struct room r;

	(void)state;
	begin(&r);
	say(&r, "text_chunk", 1, "A");
	room_feed(&r, AGENT,
	    "{\"channel\":\"monitor\",\"kind\":\"gap\",\"turn\":\"\",\"step\":"
	    "0,\"time\":1}",
	    0);
	say(&r, "text_chunk", 1, "C");
	ev(&r, AGENT, "step_complete", 1, "");
	say(&r, "text_chunk", 2, "D");
	ev(&r, AGENT, "done", 2, DONE);
	assert_non_null(strstr(client_trace(r.w1),
	    "delta t-1-text-0 A\nstart t-1-text-0\nstart t-2-text-0\ndelta "
	    "t-2-text-0 D\n"
	    "complete t-2-text-0\n"));
	session_view_free(&r.view);
}

/* A client that joins while an answer is made sees all that it has said. */
static void
test_catch_up(void **state)
{
	struct client *late[2] = { client_new(arena, SESSION_W1, 0),
		client_new(arena, SESSION_W3, 0) };
	struct session_out out;
	struct room r;
	size_t n;

	(void)state;
	begin(&r);
	session_out_init(&out, arena, SESSION_ALL);
	session_view_catch_up(r.view, &out);
	assert_null(out.first);
	say(&r, "think_chunk", 1, "Hm.");
	say(&r, "text_chunk", 1, "Hel");
	say(&r, "text_chunk", 1, "lo");
	session_view_catch_up(r.view, &out);
	client_take(late[0], &out);
	client_take(late[1], &out);
	assert_string_equal(client_trace(late[0]),
	    "start t-1-thinking-0\ndelta t-1-thinking-0 Hm.\n"
	    "complete t-1-thinking-0\n"
	    "start t-1-text-0\ndelta t-1-text-0 Hello\n");
	r.w1 = late[0];
	r.w3 = late[1];
	say(&r, "text_chunk", 1, "!");
	ev(&r, AGENT, "step_complete", 1, "");
	for (int i = 0; i < 2; i++)
		assert_non_null(strstr(
		    client_blocks(late[i], "main", &n)[1], "\"Hello!\""));
	session_view_free(&r.view);
}

/* Loading, unloading, and a turn of a session that has its environment. */
static void
test_runtime(void **state)
{
	struct session_out out;
	struct room r;

	(void)state;
	begin(&r);
	ev(&r, AGENT, "done", 1, DONE);
	session_out_init(&out, arena, SESSION_ALL);
	session_view_loaded(r.view, 1, "", 5, &out);
	assert_null(out.first);
	session_view_status(r.view, 5, &out);
	assert_string_equal(out.first->payload,
	    "{\"sessionId\":\"" SESSION "\",\"runtime\":{\"isLoaded\":true,"
	    "\"sandbox\":{\"sandboxId\":\"" SESSION "\",\"status\":\"ready\","
	    "\"statusMessage\":\"Ready\",\"restartCount\":0,"
	    "\"lastHealthCheck\":1001},\"executionEnvironment\":{\"id\":"
	    "\"" SESSION "\",\"status\":\"ready\",\"statusMessage\":\"Ready\","
	    "\"restartCount\":0,\"lastHealthCheck\":1001}}}");
	session_out_init(&out, arena, SESSION_W1);
	session_view_loaded(r.view, 0, "idle", 5, &out);
	assert_string_equal(out.first->payload,
	    "{\"sessionId\":\"" SESSION "\",\"runtime\":{\"isLoaded\":false,"
	    "\"sandbox\":null,\"executionEnvironment\":null}}");
	assert_null(out.first->next);
	assert_int_equal(session_view_runtime(r.view)->loaded, 0);
	session_out_init(&out, arena, SESSION_ALL);
	session_view_env_ended(r.view, "manual", 5, &out);
	assert_null(out.first);
	session_view_free(&r.view);
}

static void
test_damaged(void **state)
{
	static const char *const rows[] = { "", "x", "[]",
		"{\"kind\":", "{\"kind\":\"text_chunk\",\"kind\":\"done\"}" };
	struct session_out out;
	struct room r;
	struct err err;

	(void)state;
	begin(&r);
	session_out_init(&out, arena, SESSION_ALL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(session_view_feed(r.view, AGENT, rows[i],
				     strlen(rows[i]), 0, &out, &err),
		    -1);
	assert_null(out.first);
	end(&r, DONE);
}

/* What is no event of the log is told as that is. */
static void
test_file_message(void **state)
{
	struct session_out out;
	struct room r;

	(void)state;
	begin(&r);
	session_out_init(&out, arena, SESSION_W1);
	session_view_file(r.view, "deleted", "a/b", 5, &out);
	assert_string_equal(out.first->event, "session:file:deleted");
	assert_string_equal(out.first->payload,
	    "{\"sessionId\":\"" SESSION "\",\"path\":\"a/b\"}");
	assert_null(out.wants);
	session_view_file(r.view, "modified", "c", 5, &out);
	assert_null(out.first->next);
	assert_int_equal(out.wants->kind, SESSION_WANT_FILE);
	assert_string_equal(out.wants->agent, AGENT);
	assert_string_equal(out.wants->id, "c");
	assert_string_equal(out.wants->change, "modified");
	end(&r, DONE);
}

static int
setup(void **state)
{
	(void)state;
	arena = arena_open(1 << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_close(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_from_the_middle),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_turn),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_reset_and_end),
		cmocka_unit_test(test_reset_differs),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_no_record),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_subagents),
		cmocka_unit_test(test_late_subagent),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_catch_up),
		cmocka_unit_test(test_runtime),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_file_message),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
