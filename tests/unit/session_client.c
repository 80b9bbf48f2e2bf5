/* SPDX-License-Identifier: MIT */
/* Clients of sessions, for tests: their rules, made to fail. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "session/names.h"
#include "session_client.h"

#define BLOCKS_MAX 400
#define CONVERSATIONS_MAX 40

struct seen {
	const char *id;
	const struct json *block; /* as it was completed */
	const char *content;      /* an update's, or NULL */
	const char *status;       /* an update's, or NULL */
	int upserts, complete;
};

struct talk {
	const char *id;
	int over;
	const char *open; /* W1: the block that has begun */
	int fresh;        /* and nothing of it was told: it began again */
	const char *user; /* a user's message that must be next */
	struct buf text;
	struct seen blocks[BLOCKS_MAX];
	size_t count;
};

struct client {
	struct arena *arena;
	enum session_dialect dialect;
	int late;
	struct talk talks[CONVERSATIONS_MAX];
	size_t talk_count;
	int queries, failures, errors;
	int s4_blocks, w1_blocks;
	struct names *started; /* W1: ids of blocks that have begun */
	struct buf trace;
};

struct client *
client_new(struct arena *a, enum session_dialect d, int flags)
{
	struct client *c = arena_new(a, struct client);

	c->arena = a;
	c->dialect = d;
	c->late = (flags & CLIENT_LATE) != 0;
	c->started = names_new(a);
	c->talks[0].id = "main";
	c->talk_count = 1;
	buf_init(&c->trace, a);
	return c;
}

const char *
client_trace(const struct client *c)
{
	return buf_str(&c->trace);
}

static struct talk *
talk_of(struct client *c, const struct json *j)
{
	const char *id = json_get_str(j, "conversationId");

	assert_non_null(id);
	for (size_t i = 0; i < c->talk_count; i++)
		if (strcmp(c->talks[i].id, id) == 0)
			return &c->talks[i];
	if (!c->late)
		fail_msg("conversation %s is not known", id);
	assert_true(c->talk_count < CONVERSATIONS_MAX);
	c->talks[c->talk_count].id = id;
	return &c->talks[c->talk_count++];
}

static struct seen *
seen_find(struct talk *t, const char *id)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->blocks[i].id, id) == 0)
			return &t->blocks[i];
	return NULL;
}

static struct seen *
seen_add(struct talk *t, const char *id)
{
	assert_true(t->count < BLOCKS_MAX);
	t->blocks[t->count].id = id;
	return &t->blocks[t->count++];
}

static const char *
str(const struct json *j, const char *name)
{
	const char *s = json_get_str(j, name);

	if (s == NULL)
		fail_msg("%s is missing", name);
	return s == NULL ? "" : s;
}

static int
is(const struct json *j, const char *name, const char *text)
{
	const char *s = json_get_str(j, name);

	return s != NULL && strcmp(s, text) == 0;
}

static int
is_said(const struct json *block)
{
	return is(block, "type", "assistant_text") ||
	       is(block, "type", "thinking");
}

/* ---- W1 ---- */

static void
w1_start(struct client *c, const struct json *p)
{
	const struct json *block = json_get(p, "block");
	struct talk *t = talk_of(c, p);
	const char *id = str(block, "id");
	void **begun = names_at(c->started, id);

	buf_printf(&c->trace, "start %s\n", id);
	assert_null(t->user);
	assert_false(t->over);
	assert_null(seen_find(t, id)); /* never begun when it is complete */
	/* Another may begin if what was said of this one was taken back. */
	if (t->open != NULL && strcmp(t->open, id) != 0)
		assert_true(t->fresh && is_said(block));
	if (is_said(block)) {
		assert_string_equal(str(block, "content"), "");
		t->fresh = t->open != NULL || *begun != NULL;
		t->open = id;
		buf_init(&t->text, c->arena);
	} else {
		assert_null(*begun);
	}
	if (is(block, "type", "tool_use")) {
		assert_string_equal(str(block, "status"), "pending");
		assert_int_equal(json_count(json_get(block, "input")), 0);
	}
	if (is(block, "type", "user_message"))
		t->user = id;
	*begun = t;
}

static void
w1_delta(struct client *c, const struct json *p)
{
	struct talk *t = talk_of(c, p);
	const char *id = str(p, "blockId"), *delta = str(p, "delta");

	buf_printf(&c->trace, "delta %s %s\n", id, delta);
	assert_null(t->user);
	assert_true(*delta != '\0');
	if (t->open == NULL && c->late) {
		t->open = id;
		buf_init(&t->text, c->arena);
		buf_puts(&t->text, "...");
	}
	assert_non_null(t->open);
	assert_string_equal(t->open, id);
	t->fresh = 0;
	buf_puts(&t->text, delta);
}

static void
w1_complete_said(struct client *c, struct talk *t, const struct json *block)
{
	const char *content = str(block, "content");

	if (t->open == NULL && c->late)
		return;
	assert_non_null(t->open);
	assert_string_equal(t->open, str(block, "id"));
	if (c->late && strncmp(buf_str(&t->text), "...", 3) == 0)
		assert_non_null(strstr(content, t->text.data + 3));
	else
		assert_string_equal(content, buf_str(&t->text));
	t->open = NULL;
}

static void
w1_complete(struct client *c, const struct json *p)
{
	const struct json *block = json_get(p, "block");
	struct talk *t = talk_of(c, p);
	const char *id = str(block, "id");
	struct seen *use;

	buf_printf(&c->trace, "complete %s\n", id);
	c->w1_blocks++;
	assert_string_equal(str(p, "blockId"), id);
	assert_null(seen_find(t, id)); /* exactly one complete */
	assert_false(t->over);
	if (is_said(block))
		w1_complete_said(c, t, block);
	else
		assert_null(t->open); /* it would clear what streams */
	if (is(block, "type", "user_message"))
		assert_string_equal(t->user, id);
	else
		assert_null(t->user);
	t->user = NULL;
	if (is(block, "type", "tool_use")) {
		assert_non_null(names_get(c->started, id));
		assert_string_equal(str(block, "toolUseId"), id);
		assert_string_equal(str(block, "status"), "running");
	}
	if (is(block, "type", "tool_result")) {
		use = seen_find(t, str(block, "toolUseId"));
		assert_true(use != NULL ? use->status != NULL : c->late);
	}
	seen_add(t, id)->block = block;
}

static void
w1_update(struct client *c, const struct json *p)
{
	const struct json *u = json_get(p, "updates");
	struct talk *t = talk_of(c, p);
	const char *id = str(p, "blockId");
	struct seen *s = seen_find(t, id);

	buf_printf(&c->trace, "update %s", id);
	if (s == NULL && c->late)
		return;
	assert_non_null(s); /* touches what is complete alone */
	if (json_get_str(u, "status") != NULL)
		s->status = str(u, "status");
	if (json_get_str(u, "content") != NULL)
		s->content = str(u, "content");
	buf_printf(&c->trace, " %s\n",
	    json_get_str(u, "status") != NULL ? s->status : s->content);
}

static void
w1_metadata(struct client *c, const struct json *p)
{
	const struct json *m = json_get(p, "metadata"),
			  *u = json_get(m, "usage");
	int64_t in, out, total;
	struct buf b;

	talk_of(c, p);
	assert_int_equal(json_get_int(u, "inputTokens", &in), 1);
	assert_int_equal(json_get_int(u, "outputTokens", &out), 1);
	assert_int_equal(json_get_int(u, "totalTokens", &total), 1);
	assert_int_equal(total, in + out);
	buf_init(&b, c->arena);
	json_print(&b, m);
	buf_printf(&c->trace, "metadata %s\n", buf_str(&b));
}

static void
w1_discovered(struct client *c, const struct json *p)
{
	const struct json *sub = json_get(p, "subagent");

	assert_true(c->talk_count < CONVERSATIONS_MAX);
	buf_printf(&c->trace, "discovered\n");
	for (size_t i = 0; i < c->talk_count && !c->late; i++)
		assert_string_not_equal(c->talks[i].id, str(sub, "id"));
	c->talks[c->talk_count++].id = str(sub, "id");
}

static void
w1_ended(struct client *c, const struct json *p)
{
	const char *id = str(p, "subagentId"), *status = str(p, "status");
	int found = c->late;

	assert_true(
	    strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0);
	for (size_t i = 0; i < c->talk_count; i++)
		if (strcmp(c->talks[i].id, id) == 0) {
			assert_false(c->talks[i].over);
			assert_null(c->talks[i].open);
			c->talks[i].over = found = 1;
		}
	assert_true(found);
	buf_printf(&c->trace, "ended %s\n", status);
}

static void
w1_status(struct client *c, const struct json *p)
{
	const struct json *box = json_get(json_get(p, "runtime"), "sandbox");

	buf_printf(&c->trace, "status %s\n",
	    box == NULL               ? "?"
	    : json_is(box, JSON_NULL) ? "none"
				      : str(box, "statusMessage"));
}

/* ---- S4: the same blocks ---- */

static void
s4_event(struct client *c, const struct json *p)
{
	const struct json *e = json_get(p, "event");

	if (is(e, "type", "block_complete"))
		c->s4_blocks++;
	if (!is(e, "type", "error"))
		assert_non_null(json_get_str(e, "conversationId"));
}

/* ---- W3 ---- */

static void
w3_upsert(struct client *c, const struct json *context, const struct json *p)
{
	const struct json *block = json_get(p, "block");
	struct talk *t = talk_of(c, context);
	const char *id = str(block, "id"), *status = str(block, "status");
	struct seen *s = seen_find(t, id);

	buf_printf(&c->trace, "upsert %s %s\n", id, status);
	assert_true(strcmp(status, "pending") == 0 ||
		    strcmp(status, "complete") == 0 ||
		    strcmp(status, "error") == 0);
	if (s == NULL)
		s = seen_add(t, id);
	s->upserts++;
	if (is(block, "type", "user_message")) {
		assert_int_equal(s->upserts, 1);
		assert_string_equal(status, "complete");
	}
	s->complete = strcmp(status, "pending") != 0;
	if (s->block == NULL || json_count(block) > 4)
		s->block = block;
	s->status = status;
	if (is_said(block)) {
		s->content = str(block, "content");
		buf_init(&t->text, c->arena);
	}
}

static void
w3_delta(struct client *c, const struct json *context, const struct json *p)
{
	struct talk *t = talk_of(c, context);
	struct seen *s = seen_find(t, str(p, "blockId"));

	buf_printf(&c->trace, "delta %s\n", str(p, "blockId"));
	if (s == NULL && c->late)
		return; /* ignored */
	assert_non_null(s);
	s->content =
	    arena_printf(c->arena, "%s%s", s->content, str(p, "delta"));
}

static void
w3_spawned(struct client *c, const struct json *context, const struct json *p)
{
	talk_of(c, context);
	assert_true(c->talk_count < CONVERSATIONS_MAX);
	str(p, "prompt");
	c->talks[c->talk_count++].id = str(p, "toolUseId");
}

static void
w3_query(struct client *c, const char *type)
{
	int begins = strcmp(type, "query:started") == 0;

	c->queries += begins ? 1 : -1;
	if (!c->late)
		assert_in_range(c->queries, 0, 1);
	c->failures += strcmp(type, "query:failed") == 0;
}

static void
w3_event(struct client *c, const struct json *doc)
{
	const struct json *p = json_get(doc, "payload"),
			  *context = json_get(doc, "context");
	const char *type = str(doc, "type");

	assert_memory_equal(
	    str(context, "timestamp") + 19, ".", 1); /* ms, and Z */
	str(context, "source");
	str(context, "sessionId");
	assert_string_not_equal(type, "error");
	if (strcmp(type, "block:upsert") == 0) {
		w3_upsert(c, context, p);
		return;
	}
	if (strcmp(type, "block:delta") == 0) {
		w3_delta(c, context, p);
		return;
	}
	buf_printf(&c->trace, "%s\n", type);
	if (strcmp(type, "subagent:spawned") == 0)
		w3_spawned(c, context, p);
	else if (strncmp(type, "query:", 6) == 0)
		w3_query(c, type);
}

/* ---- all ---- */

static const struct {
	const char *event;
	void (*fn)(struct client *c, const struct json *p);
} w1_events[] = {
	{ "session:block:start", w1_start },
	{ "session:block:delta", w1_delta },
	{ "session:block:complete", w1_complete },
	{ "session:block:update", w1_update },
	{ "session:metadata:update", w1_metadata },
	{ "session:subagent:discovered", w1_discovered },
	{ "session:subagent:completed", w1_ended },
	{ "session:status", w1_status },
	{ "stream:event", s4_event },
};

static void
take_one(struct client *c, const struct session_emit *e)
{
	const struct json *p =
	    json_parse(c->arena, e->payload, e->len, JSON_DEPTH_MAX, NULL);

	assert_non_null(p);
	if (strcmp(e->event, "error") == 0) {
		assert_int_equal(e->dialects, SESSION_ALL);
		buf_printf(&c->trace, "error %s %s\n", str(p, "code"),
		    str(p, "message"));
		str(p, "sessionId");
		c->errors++;
		return;
	}
	if (strcmp(e->event, "session:event") == 0) {
		w3_event(c, p);
		return;
	}
	str(p, "sessionId");
	for (size_t i = 0; i < sizeof(w1_events) / sizeof(w1_events[0]); i++)
		if (strcmp(w1_events[i].event, e->event) == 0) {
			w1_events[i].fn(c, p);
			return;
		}
	buf_printf(&c->trace, "%s\n", e->event);
}

void
client_take(struct client *c, const struct session_out *out)
{
	unsigned mine = c->dialect == SESSION_W3
			    ? SESSION_W3
			    : (unsigned)(SESSION_W1 | SESSION_S4);

	for (const struct session_emit *e = out->first; e != NULL; e = e->next)
		if (e->dialects & mine)
			take_one(c, e);
}

void
client_is_idle(const struct client *c)
{
	for (size_t i = 0; i < c->talk_count; i++) {
		assert_null(c->talks[i].open);
		assert_null(c->talks[i].user);
	}
	if (c->dialect == SESSION_W3) {
		if (!c->late)
			assert_int_equal(c->queries, 0);
		assert_int_equal(c->failures, c->errors);
	} else {
		assert_int_equal(c->s4_blocks, c->w1_blocks);
	}
}

const char *
client_block_text(struct arena *a, const struct json *block)
{
	static const char *const members[] = { "id", "type", "content",
		"toolName", "toolUseId", "input", "output", "isError",
		"durationMs", "status", "subagentId", "code", "message" };
	struct buf b;

	buf_init(&b, a);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (json_get(block, members[i]) != NULL) {
			buf_printf(&b, "%s=", members[i]);
			json_print(&b, json_get(block, members[i]));
			buf_puts(&b, " ");
		}
	return buf_str(&b);
}

/* With what updates have changed. */
static const char *
seen_text(struct arena *a, const struct seen *s)
{
	struct buf b;

	buf_init(&b, a);
	json_open(&b, NULL, '{');
	for (const struct json *m = json_first(s->block); m != NULL;
	     m = json_next(m)) {
		const char *now =
		    strcmp(json_name(m), "content") == 0  ? s->content
		    : strcmp(json_name(m), "status") == 0 ? s->status
							  : NULL;

		if (now != NULL)
			json_add_str(&b, json_name(m), now);
		else
			json_add_json(&b, json_name(m), m);
	}
	json_close(&b, '}');
	return client_block_text(
	    a, json_parse(a, b.data, b.len, JSON_DEPTH_MAX, NULL));
}

const char **
client_blocks(const struct client *c, const char *conversation, size_t *count_r)
{
	const char **out =
	    arena_alloc(c->arena, (BLOCKS_MAX + 1) * sizeof(*out));

	*count_r = 0;
	for (size_t i = 0; i < c->talk_count; i++) {
		const struct talk *t = &c->talks[i];

		for (size_t k = 0; k < t->count; k++)
			if (strcmp(t->id, conversation) == 0)
				out[(*count_r)++] =
				    seen_text(c->arena, &t->blocks[k]);
	}
	return out;
}
