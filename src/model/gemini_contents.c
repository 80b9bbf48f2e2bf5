/* SPDX-License-Identifier: MIT */
/*
 * The contents of a request to Gemini (spec/providers.md, section 4).
 *
 * Gemini wants the roles to alternate, the user's first; the results of calls
 * in the content right behind that of the calls; and no content without parts.
 * So a content is left open at the end of the text: a message of the same role
 * adds to it, one of the other closes it first. Nothing of the text before is
 * ever changed. As the user's is the first, the number of contents tells whose
 * the open one is.
 *
 * What the model has said goes back as the parts it said it in, with their
 * signatures. Gemini may have given a call an id, which its result must have
 * too; results know ours, so until they come it is kept where in the text
 * Gemini's is. Calls of others have no id: there the order counts.
 *
 * Gemini 3 refuses a step of the turn that runs whose first call has no
 * signature. For calls that it did not make itself Google has documented a
 * word that stands for one; it stays in the steps of turns that are over.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"
#include "model/gemini_wire_priv.h"

#define NO_SIGNATURE "skip_thought_signature_validator"

/* Of a message that is being added. */
struct adding {
	struct wire_text *t;
	const struct wire_model *model;
	const struct wire_message *m;
	int said;  /* parts that are no thoughts */
	int calls; /* of them */
};

int
gemini_is_old(const struct wire_model *model)
{
	static const char *const old[] = { "gemini-1.", "gemini-2.", "gemma" };

	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
		if (strstr(model->id, old[i]) != NULL)
			return 1;
	return 0;
}

/* ---- contents ---- */

enum role { USER, MODEL, NOBODY };

static enum role
role_open(const struct wire_text *t)
{
	if (t->shown == 0)
		return NOBODY;
	return t->shown % 2 == 1 ? USER : MODEL;
}

static void
content_open(struct wire_text *t, enum role role)
{
	static const char *const names[] = { "user", "model" };
	enum role open = role_open(t);

	if (open == role)
		return;
	if (open == NOBODY && role == MODEL) {
		gemini_user_text(t, "[The beginning of the conversation is not "
				    "here.]");
		open = USER;
	}
	if (open != NOBODY)
		buf_lit(t->out, "]}");
	json_open(t->out, NULL, '{');
	json_add_str(t->out, "role", names[role]);
	json_open(t->out, "parts", '[');
	t->shown++;
}

int
gemini_text(struct buf *out, const char *text)
{
	if (text == NULL || *text == '\0')
		return 0;
	json_open(out, NULL, '{');
	json_add_str(out, "text", text);
	json_close(out, '}');
	return 1;
}

void
gemini_user_text(struct wire_text *t, const char *text)
{
	content_open(t, USER);
	gemini_text(t->out, text);
}

/* ---- Gemini's ids of calls ---- */

/* The first member of a call. One whose id finds no place has none, and
 * neither has its result. */
static void
id_add(struct wire_text *t, const char *ours, const char *theirs)
{
	if (theirs == NULL || *theirs == '\0' || ours == NULL ||
	    t->cut_count == WIRE_CUTS_MAX)
		return;
	t->calls[t->cut_count++] = (struct wire_call){
		.id = hash_text(ours),
		.at = t->out->len + sizeof("\"id\":") - 1,
	};
	json_add_str(t->out, "id", theirs);
}

void
gemini_id_again(struct wire_text *t, const char *ours)
{
	uint64_t h = hash_text(ours);
	const char *from, *p;

	for (int i = 0; i < t->cut_count; i++) {
		if (t->calls[i].id != h)
			continue;
		/* Room first: it is copied from the buffer to its end. */
		buf_reserve(
		    t->out, t->out->len - t->calls[i].at + sizeof(",\"id\":"));
		from = p = t->out->data + t->calls[i].at;
		for (p++; *p != '"'; p++)
			p += *p == '\\';
		json_add_raw(t->out, "id", from, (size_t)(p + 1 - from));
		return;
	}
}

/* ---- what a model said ---- */

static void
add_native(struct buf *out, const struct json *native, const char *but)
{
	const struct json *m = json_first(native);

	for (; m != NULL; m = json_next(m))
		if (strcmp(json_name(m), but) != 0)
			json_add_json(out, json_name(m), m);
}

/* Its native form, if it is for this model. */
static const struct json *
native_of(const struct adding *a, const struct json *block)
{
	const struct json *native = json_get(block, "native");

	return a->m->own && json_is(native, JSON_OBJECT) &&
		       json_count(native) > 0
		   ? native
		   : NULL;
}

/* A text that is signed goes back even if there is none. */
static void
add_said(struct adding *a, const struct json *block)
{
	const char *text = json_get_str(block, "text");
	const struct json *native = native_of(a, block);
	struct buf *out = a->t->out;

	if (text == NULL || (*text == '\0' && native == NULL))
		return;
	json_open(out, NULL, '{');
	json_add_str(out, "text", text);
	add_native(out, native, "text");
	json_close(out, '}');
	a->said++;
}

static void
add_thought(struct adding *a, const struct json *block)
{
	const char *text = json_get_str(block, "thinking");
	const struct json *native = native_of(a, block);
	struct buf *out = a->t->out;

	if (!a->m->own || text == NULL || (*text == '\0' && native == NULL))
		return;
	json_open(out, NULL, '{');
	json_add_str(out, "text", text);
	json_add_bool(out, "thought", 1);
	add_native(out, native, "thought");
	json_close(out, '}');
	a->said += native != NULL;
}

static void
add_call(struct adding *a, const struct json *block)
{
	const struct json *native = native_of(a, block);
	const struct json *input = json_get(block, "input");
	const char *name = json_get_str(block, "name");
	struct buf *out = a->t->out;

	if (name == NULL)
		return;
	json_open(out, NULL, '{');
	json_open(out, "functionCall", '{');
	id_add(a->t, json_get_str(block, "id"), json_get_str(native, "id"));
	json_add_str(out, "name", name);
	if (json_is(input, JSON_OBJECT))
		json_add_json(out, "args", input);
	else
		json_add_raw(out, "args", "{}", 2);
	json_close(out, '}');
	add_native(out, native, "id");
	if (a->calls == 0 && json_get(native, "thoughtSignature") == NULL &&
	    !gemini_is_old(a->model))
		json_add_str(out, "thoughtSignature", NO_SIGNATURE);
	json_close(out, '}');
	a->calls++;
	a->said++;
}

static void
add_own_part(struct adding *a, const struct json *block)
{
	const struct json *native = native_of(a, block);

	if (native == NULL)
		return;
	json_add_json(a->t->out, NULL, native);
	a->said++;
}

static const struct {
	const char *type;
	void (*add)(struct adding *a, const struct json *block);
} said_blocks[] = {
	{ "text", add_said },
	{ "thinking", add_thought },
	{ "tool_use", add_call },
	{ "native", add_own_part },
};

static void
add_said_block(struct adding *a, const struct json *block)
{
	const char *type = json_get_str(block, "type");

	for (size_t i = 0;
	     type != NULL && i < sizeof(said_blocks) / sizeof(said_blocks[0]);
	     i++)
		if (strcmp(said_blocks[i].type, type) == 0)
			said_blocks[i].add(a, block);
}

/* ---- messages ---- */

void
gemini_add(struct wire_text *t, const struct wire_model *model,
    const struct wire_message *m)
{
	const struct json *content = json_get(m->doc, "content"), *c;
	const char *role = json_get_str(m->doc, "role");
	enum role of =
	    role != NULL && strcmp(role, "assistant") == 0 ? MODEL : USER;
	struct adding a = { .t = t, .model = model, .m = m };
	size_t before = t->out->len;
	int64_t shown = t->shown;

	content_open(t, of);
	if (of == MODEL)
		t->cut_count = 0;
	if (json_is(content, JSON_STRING))
		a.said = gemini_text(t->out, json_str(content));
	else if (of == USER)
		a.said = gemini_user_blocks(t, model, m);
	else
		for (c = json_first(content); c != NULL; c = json_next(c))
			add_said_block(&a, c);
	if (a.said > 0)
		return;
	buf_truncate(t->out, before);
	t->shown = shown;
}
