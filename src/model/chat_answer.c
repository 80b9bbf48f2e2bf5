/* SPDX-License-Identifier: MIT */
/*
 * What the model said, as the Chat API has it (spec/providers.md, sections 2
 * and 5 to 12): one assistant message, its texts in one, its calls beside
 * them. What it thought goes back only where the provider wants it, always
 * (MODEL_QUIRK_ECHO_CALLS) or until the user speaks (MODEL_QUIRK_ECHO_ROUND).
 * In the latter case the places of those members are kept, and they are cut
 * out of the text when that happens: what moves is the round, not the history.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"
#include "model/chat_wire.h"

#define IS(s, name) ((s) != NULL && strcmp((s), (name)) == 0)

/* An assistant message up to where its reasoning would be. */
static const char assistant[] = "{\"role\":\"assistant\"";

static const char *
reasoning_name(const struct wire_model *model)
{
	return model->quirks & MODEL_QUIRK_REASONING ? "reasoning"
						     : "reasoning_content";
}

/* ---- ids of calls ---- */

#define SHORT_ID 9

/* Mistral's are nine letters and digits: made of ours, always the same. */
static void
id_shorten(char out[CHAT_ID_SIZE], const char *id)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	uint64_t h = hash_text(id);

	for (int i = 0; i < SHORT_ID; i++, h /= 36)
		out[i] = digits[h % 36];
	out[SHORT_ID] = '\0';
}

void
chat_id(char out[CHAT_ID_SIZE], const struct wire_model *model, const char *id)
{
	if (id == NULL)
		id = "";
	if (model->quirks & MODEL_QUIRK_SHORT_IDS)
		id_shorten(out, id);
	else
		snprintf(out, CHAT_ID_SIZE, "%s", id);
}

/* ---- answers ---- */

int
chat_is_answer(const struct wire_message *m)
{
	return IS(json_get_str(m->doc, "role"), "assistant");
}

/* What of an answer goes where. */
struct answer {
	const struct wire_model *model;
	int own;
	struct buf text, refusal, thinking, calls;
	const struct json *details; /* reasoning_details, as they came */
};

static void
take_call(struct answer *an, const struct json *block)
{
	const struct json *extra =
	    json_get(json_get(block, "native"), "extra_content");
	const struct json *arguments = json_get(block, "input");
	struct buf *b = &an->calls, input;
	char id[CHAT_ID_SIZE];

	buf_init(&input, b->arena);
	if (arguments != NULL)
		json_print(&input, arguments);
	else
		buf_lit(&input, "{}");
	chat_id(id, an->model, json_get_str(block, "id"));
	json_open(b, NULL, '{');
	json_add_str(b, "id", id);
	json_add_str(b, "type", "function");
	json_open(b, "function", '{');
	json_add_str(b, "name", json_get_str(block, "name"));
	json_add_strn(b, "arguments", buf_str(&input), input.len);
	json_close(b, '}');
	if (an->own && extra != NULL)
		json_add_json(b, "extra_content", extra);
	json_close(b, '}');
}

static void
take_text(struct answer *an, const struct json *block)
{
	const char *text = json_get_str(block, "text");
	int refusal = an->own && json_get_true(block, "refusal");

	if (text != NULL)
		buf_puts(refusal ? &an->refusal : &an->text, text);
}

static void
take_thinking(struct answer *an, const struct json *block)
{
	const char *text = json_get_str(block, "thinking");

	if (an->own && text != NULL)
		buf_puts(&an->thinking, text);
}

static void
take_block(struct answer *an, const struct json *block)
{
	static const struct {
		const char *type;
		void (*take)(struct answer *, const struct json *);
	} types[] = {
		{ "text", take_text },
		{ "thinking", take_thinking },
		{ "tool_use", take_call },
	};
	const char *type = json_get_str(block, "type");
	const struct json *details =
	    json_get(json_get(block, "native"), "reasoning_details");

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (IS(type, types[i].type))
			types[i].take(an, block);
	if (an->own && an->details == NULL)
		an->details = details;
}

static void
answer_read(struct answer *an, struct arena *a, const struct wire_model *model,
    const struct wire_message *m)
{
	const struct json *content = json_get(m->doc, "content"), *c;

	memset(an, 0, sizeof(*an));
	an->model = model;
	an->own = m->own;
	buf_init(&an->text, a);
	buf_init(&an->refusal, a);
	buf_init(&an->thinking, a);
	buf_init(&an->calls, a);
	if (json_str(content) != NULL)
		buf_puts(&an->text, json_str(content));
	for (c = json_first(content); c != NULL; c = json_next(c))
		take_block(an, c);
}

/* What goes back only in this round is noted; what does not fit there is
 * found again, see next_cut. */
static void
add_thinking(struct wire_text *t, const struct answer *an)
{
	unsigned quirks = an->model->quirks;
	const char *text = buf_str(&an->thinking);
	size_t from = t->out->len;

	if (!(quirks & MODEL_QUIRK_ECHO_CALLS) &&
	    (!(quirks & MODEL_QUIRK_ECHO_ROUND) || *text == '\0' ||
		an->calls.len == 0))
		return;
	json_add_str(t->out, reasoning_name(an->model), text);
	if (!(quirks & MODEL_QUIRK_ECHO_CALLS) && t->cut_count < WIRE_CUTS_MAX)
		t->cuts[t->cut_count++] =
		    (struct wire_cut){ from, t->out->len };
}

static void
add_answer(struct wire_text *t, const struct answer *an)
{
	struct buf *b = t->out;

	if (an->text.len + an->refusal.len + an->calls.len == 0)
		return;
	wire_entry(t);
	if (an->calls.len > 0)
		t->calls_at = b->len;
	buf_lit(b, assistant);
	add_thinking(t, an);
	if (an->details != NULL)
		json_add_json(b, "reasoning_details", an->details);
	if (an->text.len > 0)
		json_add_strn(b, "content", an->text.data, an->text.len);
	else if (an->calls.len == 0)
		json_add_null(b, "content");
	if (an->refusal.len > 0)
		json_add_strn(b, "refusal", an->refusal.data, an->refusal.len);
	if (an->calls.len > 0) {
		json_open(b, "tool_calls", '[');
		buf_add(b, an->calls.data, an->calls.len);
		json_close(b, ']');
	}
	json_close(b, '}');
}

void
chat_add_answer(struct wire_text *t, struct arena *a,
    const struct wire_model *model, const struct wire_message *m)
{
	struct answer answer;

	answer_read(&answer, a, model, m);
	add_answer(t, &answer);
}

void
chat_add_text(
    struct wire_text *t, const struct wire_model *model, const char *text)
{
	wire_entry(t);
	buf_lit(t->out, assistant);
	if (model->quirks & MODEL_QUIRK_ECHO_CALLS)
		json_add_str(t->out, reasoning_name(model), "");
	json_add_str(t->out, "content", text);
	json_close(t->out, '}');
}

/* ---- the end of a round ---- */

/* Results go on with the round; anything else begins the next one. */
static int
user_speaks(const struct wire_message *m)
{
	const struct json *content = json_get(m->doc, "content"), *c;

	if (chat_is_answer(m))
		return 0;
	if (json_str(content) != NULL)
		return 1;
	for (c = json_first(content); c != NULL; c = json_next(c))
		if (!IS(json_get_str(c, "type"), "tool_result"))
			return 1;
	return 0;
}

/* The first member of reasoning behind at: quotes of a text are escaped, so
 * no text looks like it. 1 if there is one. */
static int
find_cut(const struct wire_text *t, const struct wire_model *model, size_t at,
    struct wire_cut *cut_r)
{
	const struct buf *b = t->out;
	char start[64];
	const char *p;
	int n = snprintf(start, sizeof(start), "%s,\"%s\":\"", assistant,
	    reasoning_name(model));

	p = memmem(b->data + at, b->len - at, start, (size_t)n);
	if (p == NULL)
		return 0;
	cut_r->from = (size_t)(p - b->data) + sizeof(assistant) - 1;
	for (p += n; *p != '"'; p++)
		p += *p == '\\';
	cut_r->to = (size_t)(p - b->data) + 1;
	return 1;
}

/* The i-th, none of which is before at. */
static int
next_cut(const struct wire_text *t, const struct wire_model *model, int i,
    size_t at, struct wire_cut *cut_r)
{
	if (i < t->cut_count) {
		*cut_r = t->cuts[i];
		return 1;
	}
	return t->cut_count == WIRE_CUTS_MAX && find_cut(t, model, at, cut_r);
}

void
chat_cut(struct wire_text *t, const struct wire_model *model,
    const struct wire_message *m)
{
	size_t to = t->cuts[0].from, from = to, calls_at = t->calls_at;
	struct buf *b = t->out;
	struct wire_cut cut;

	if (t->cut_count == 0 || !user_speaks(m))
		return;
	for (int i = 0; next_cut(t, model, i, from, &cut); i++) {
		memmove(b->data + to, b->data + from, cut.from - from);
		to += cut.from - from;
		from = cut.to;
		if (cut.from < calls_at)
			t->calls_at -= cut.to - cut.from;
	}
	memmove(b->data + to, b->data + from, b->len - from);
	buf_truncate(b, to + (b->len - from));
	t->cut_count = 0;
}
