/* SPDX-License-Identifier: MIT */
/*
 * Blocks of what is over, from the messages and the records of calls. The
 * order within a step is the one in which sockets are told: what the answer
 * says, its calls, then results as they came. A result is taken from the
 * record, as the message with all of them is written when the last has come.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "session/names.h"
#include "session/record.h"
#include "session/transcript.h"

/* A call, by its id. */
struct call {
	const struct json *record; /* NULL: there is none (any more) */
	const struct json *result; /* the block in the messages, or NULL */
	int64_t result_ms;         /* when that was written */
	struct transcript *child;
	size_t order; /* among those of its step */
};

struct list {
	void **items;
	size_t count, room;
};

struct transcript {
	struct arena *arena;
	const char *call;  /* NULL: the session's own */
	struct names *ids; /* of messages that are in it */
	struct names *calls;
	struct list messages; /* struct json */
	struct list records;  /* struct call, those that have one */
};

static void
list_add(struct arena *a, struct list *l, void *item)
{
	void **more;

	if (l->count == l->room) {
		l->room = l->room == 0 ? 32 : l->room * 2;
		more = arena_alloc(a, l->room * sizeof(*more));
		if (l->count > 0)
			memcpy(more, l->items, l->count * sizeof(*more));
		l->items = more;
	}
	l->items[l->count++] = item;
}

static struct transcript *
make(struct arena *a, const char *call)
{
	struct transcript *t = arena_new(a, struct transcript);

	t->arena = a;
	t->call = call == NULL ? NULL : arena_strdup(a, call);
	t->ids = names_new(a);
	t->calls = names_new(a);
	return t;
}

struct transcript *
transcript_new(struct arena *a)
{
	return make(a, NULL);
}

static struct call *
call_at(struct transcript *t, const char *id)
{
	void **p = names_at(t->calls, id);

	if (*p == NULL)
		*p = arena_new(t->arena, struct call);
	return *p;
}

/* ---- what is added ---- */

static int64_t
time_of(const struct json *doc)
{
	return record_time(doc, "time");
}

static int
is_kind(const struct json *j, const char *type)
{
	const char *s = json_get_str(j, "type");

	return s != NULL && strcmp(s, type) == 0;
}

static void
note_results(struct transcript *t, struct json *doc)
{
	const struct json *r = json_first(json_get(doc, "content"));
	const char *id;

	for (; r != NULL; r = json_next(r)) {
		id = json_get_str(r, "tool_use_id");
		if (id == NULL || !is_kind(r, "tool_result"))
			continue;
		call_at(t, id)->result = r;
		call_at(t, id)->result_ms = time_of(doc);
	}
}

int
transcript_add_messages(struct transcript *t, const char *const *docs,
    size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		struct json *doc = json_parse(
		    t->arena, docs[i], strlen(docs[i]), JSON_DEPTH_MAX, err);
		const char *id = json_get_str(doc, "id");
		void **seen;

		if (id == NULL || json_get_str(doc, "role") == NULL)
			return err_set(err, ERR_STORE,
			    "a message of the history is damaged");
		seen = names_at(t->ids, id);
		if (*seen != NULL)
			continue;
		*seen = doc;
		list_add(t->arena, &t->messages, doc);
		note_results(t, doc);
	}
	return 0;
}

int
transcript_add_calls(struct transcript *t, const char *const *docs,
    size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		struct json *doc = json_parse(
		    t->arena, docs[i], strlen(docs[i]), JSON_DEPTH_MAX, err);
		const char *id = json_get_str(doc, "id");
		struct call *c;

		if (id == NULL)
			return err_set(err, ERR_STORE,
			    "the record of a tool call is damaged");
		c = call_at(t, id);
		if (c->record == NULL)
			list_add(t->arena, &t->records, c);
		c->record = doc;
	}
	return 0;
}

size_t
transcript_children(struct transcript *t, struct transcript_child **out_r)
{
	size_t n = 0;

	*out_r =
	    arena_alloc(t->arena, (t->records.count + 1) * sizeof(**out_r));
	for (size_t i = 0; i < t->records.count; i++) {
		const struct call *c = t->records.items[i];
		const char *agent = json_get_str(c->record, "child");

		if (agent == NULL)
			continue;
		(*out_r)[n].call = json_get_str(c->record, "id");
		(*out_r)[n++].agent = agent;
	}
	return n;
}

struct transcript *
transcript_add_child(struct transcript *t, const char *call)
{
	struct call *c = call_at(t, call);

	if (c->child == NULL)
		c->child = make(t->arena, call);
	return c->child;
}

/* ---- the blocks of an answer ---- */

/* What an answer says, put together while it is of one kind. */
struct run {
	struct buf *out;
	enum block_form form;
	const char *turn, *model;
	int step, numbers[BLOCK_TYPES];
	int64_t time_ms;
	enum block_type type;
	struct buf text;
};

static void
run_end(struct run *r)
{
	char id[BLOCK_ID_SIZE];
	struct block k;

	if (r->text.len == 0)
		return;
	block_id_answer(id, r->turn, r->step, r->type, r->numbers[r->type]++);
	k = block_make(r->type, id, r->time_ms);
	k.text = r->text.data;
	k.text_len = r->text.len;
	k.model = r->type == BLOCK_ASSISTANT_TEXT ? r->model : NULL;
	block_write(r->out, NULL, &k, r->form);
	buf_clear(&r->text);
}

static void
run_add(struct run *r, enum block_type type, const char *text)
{
	if (text == NULL || *text == '\0')
		return;
	if (type != r->type)
		run_end(r);
	r->type = type;
	buf_puts(&r->text, text);
}

/* "API:ID" of the model that said it; the id. */
static const char *
model_of(const struct json *doc)
{
	const char *by = json_get_str(doc, "by"),
		   *colon = by == NULL ? NULL : strchr(by, ':');

	return colon == NULL ? by : colon + 1;
}

/* What the messages say of a call, as its record would. */
static const struct json *
record_make(struct transcript *t, const struct json *doc,
    const struct json *use, const struct call *c)
{
	const struct json *content = json_get(c->result, "content");
	const char *text = json_str(content), *name = json_get_str(use, "name"),
		   *state = json_get_true(c->result, "is_error") ? "FAILED"
								 : "COMPLETED";
	struct buf b;

	buf_init(&b, t->arena);
	json_open(&b, NULL, '{');
	json_add_str(&b, "id", json_get_str(use, "id"));
	json_add_str(&b, "name", name == NULL ? "" : name);
	json_add_str(&b, "state", c->result == NULL ? "EXECUTING" : state);
	json_add_int(&b, "createdAt", time_of(doc));
	json_add_int(&b, "startedAt", time_of(doc));
	if (c->result != NULL)
		json_add_int(&b, "completedAt", c->result_ms);
	if (json_get(use, "input") != NULL)
		json_add_json(&b, "input", json_get(use, "input"));
	if (text != NULL &&
	    json_check(text, strlen(text), JSON_DEPTH_MAX - 1, NULL) == 0)
		json_add_raw(&b, "result", text, strlen(text));
	else if (content != NULL)
		json_add_json(&b, "result", content);
	json_close(&b, '}');
	return json_parse(t->arena, b.data, b.len, JSON_DEPTH_MAX, NULL);
}

/* The call of a block of an answer, with a record; NULL: it has no id. */
static struct call *
call_of(struct transcript *t, const struct json *doc, const struct json *use)
{
	const char *id = json_get_str(use, "id");
	struct call *c;

	if (id == NULL || !is_kind(use, "tool_use"))
		return NULL;
	c = call_at(t, id);
	if (c->record == NULL)
		c->record = record_make(t, doc, use, c);
	return c->record == NULL ? NULL : c;
}

static void
write_result(struct transcript *t, struct buf *b, const struct call *c,
    enum block_form form)
{
	struct block k;

	if (!record_is_over(c->record))
		return;
	k = record_result(t->arena, c->record);
	block_write(b, NULL, &k, form);
	if (json_get_str(c->record, "child") == NULL)
		return;
	k = record_subagent(
	    t->arena, c->record, record_input(t->arena, c->record));
	block_write(b, NULL, &k, form);
}

/* It was refused before it began: its result is the next thing that is told. */
static int
is_over_at_once(const struct call *c)
{
	int64_t made = record_time(c->record, "createdAt");

	return record_is_over(c->record) && made >= 0 &&
	       made == record_time(c->record, "completedAt") &&
	       json_get(c->record, "startedAt") == NULL;
}

static int
by_end(const void *a, const void *b)
{
	const struct call *x = *(struct call *const *)a,
			  *y = *(struct call *const *)b;
	int64_t m = record_time(x->record, "completedAt"),
		n = record_time(y->record, "completedAt");

	if (m != n)
		return m < n ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static void
write_calls(struct transcript *t, struct buf *b, const struct json *doc,
    enum block_form form)
{
	const struct json *content = json_get(doc, "content");
	struct call **late =
	    arena_alloc(t->arena, (json_count(content) + 1) * sizeof(*late));
	struct block k;
	size_t n = 0;

	for (const struct json *use = json_first(content); use != NULL;
	     use = json_next(use)) {
		struct call *c = call_of(t, doc, use);

		if (c == NULL)
			continue;
		k = record_use(c->record, record_input(t->arena, c->record));
		block_write(b, NULL, &k, form);
		c->order = n;
		if (is_over_at_once(c))
			write_result(t, b, c, form);
		else
			late[n++] = c;
	}
	qsort(late, n, sizeof(*late), by_end);
	for (size_t i = 0; i < n; i++)
		write_result(t, b, late[i], form);
}

/* An answer knows its step; those of old do not, and are counted. */
static int
step_of(struct transcript *t, struct names *steps, const struct json *doc,
    const char *turn)
{
	void **p = names_at(steps, turn);
	int64_t step;
	int *answers;

	if (*p == NULL)
		*p = arena_new(t->arena, int);
	answers = *p;
	++*answers;
	return json_get_int(doc, "step", &step) && step > 0 && step < INT32_MAX
		   ? (int)step
		   : *answers;
}

static void
write_answer(struct transcript *t, struct buf *b, const struct json *doc,
    int step, enum block_form form)
{
	const char *turn = json_get_str(doc, "turn");
	struct run r = {
		.out = b,
		.form = form,
		.turn = turn == NULL ? "" : turn,
		.model = model_of(doc),
		.step = step,
		.time_ms = time_of(doc),
	};

	buf_init(&r.text, t->arena);
	for (const struct json *p = json_first(json_get(doc, "content"));
	     p != NULL; p = json_next(p)) {
		if (is_kind(p, "text"))
			run_add(
			    &r, BLOCK_ASSISTANT_TEXT, json_get_str(p, "text"));
		else if (is_kind(p, "thinking"))
			run_add(
			    &r, BLOCK_THINKING, json_get_str(p, "thinking"));
	}
	run_end(&r);
	write_calls(t, b, doc, form);
}

/* ---- a conversation ---- */

static void
write_user(const struct transcript *t, struct buf *b, const struct json *doc,
    enum block_form form)
{
	struct block k = block_make(
	    BLOCK_USER_MESSAGE, json_get_str(doc, "id"), time_of(doc));

	if (t->call != NULL || json_get(doc, "kind") != NULL)
		return;
	k.content = json_get(doc, "content");
	block_write(b, NULL, &k, form);
}

static void
write_failure(struct transcript *t, struct buf *b, const struct json *doc,
    enum block_form form)
{
	const struct json *error = json_get(doc, "error");
	const char *text = json_get_str(error, "message");
	struct block k =
	    block_make(BLOCK_ERROR, json_get_str(doc, "id"), time_of(doc));

	if (error == NULL)
		return;
	k.text = text == NULL ? "" : text;
	k.text_len = strlen(k.text);
	k.code = record_failure_code(t->arena, error);
	block_write(b, NULL, &k, form);
}

void
transcript_add_blocks(struct buf *b, struct transcript *t, enum block_form form)
{
	struct names *steps = names_new(t->arena);
	const char *turn;

	json_open(b, "blocks", '[');
	for (size_t i = 0; i < t->messages.count; i++) {
		const struct json *doc = t->messages.items[i];

		if (strcmp(json_get_str(doc, "role"), "assistant") != 0) {
			write_user(t, b, doc, form);
			continue;
		}
		turn = json_get_str(doc, "turn");
		write_answer(t, b, doc,
		    step_of(t, steps, doc, turn == NULL ? "" : turn), form);
		write_failure(t, b, doc, form);
	}
	json_close(b, ']');
}

static void
add_child(struct buf *b, const struct call *c, enum block_form form)
{
	struct transcript *its = c->child;
	const struct json *input = record_input(its->arena, c->record),
			  *output = record_report(c->record);
	int64_t ms = record_time(c->record, "durationMs");
	const char *agent = json_get_str(c->record, "child");

	json_open(b, NULL, '{');
	if (form == BLOCK_W1) {
		json_add_str(b, "id", its->call);
		transcript_add_blocks(b, its, form);
		json_close(b, '}');
		return;
	}
	json_add_str(b, "toolUseId", its->call);
	if (agent != NULL)
		json_add_str(b, "agentId", agent);
	transcript_add_blocks(b, its, form);
	json_add_str(
	    b, "status", block_status_name(record_status(c->record), BLOCK_W1));
	if (json_get_str(input, "prompt") != NULL)
		json_add_str(b, "prompt", json_get_str(input, "prompt"));
	if (record_is_over(c->record) && output != NULL)
		json_add_json(b, "output", output);
	if (ms >= 0)
		json_add_int(b, "durationMs", ms);
	json_close(b, '}');
}

static void
add_children(struct buf *b, const struct transcript *t, enum block_form form)
{
	for (size_t i = 0; i < t->records.count; i++) {
		const struct call *c = t->records.items[i];

		if (c->child == NULL)
			continue;
		add_child(b, c, form);
		add_children(b, c->child, form);
	}
}

void
transcript_add_subagents(
    struct buf *b, const struct transcript *t, enum block_form form)
{
	json_open(b, "subagents", '[');
	add_children(b, t, form);
	json_close(b, ']');
}

void
transcript_add_state(struct buf *b, struct transcript *t)
{
	json_open(b, "conversationState", '{');
	transcript_add_blocks(b, t, BLOCK_W3);
	transcript_add_subagents(b, t, BLOCK_W3);
	json_close(b, '}');
}
