/* SPDX-License-Identifier: MIT */
/*
 * Requests of the Anthropic Messages API (spec/providers.md, section 1). The
 * neutral form is its own, so a message goes in as it is; only of what another
 * model made is the rest left out: its thinking and its own blocks, which this
 * one could not read, and the native forms.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "model/wire.h"

static const char cache_marker[] =
    ",\"cache_control\":{\"type\":\"ephemeral\"}";

/* ---- the round that runs ---- */

/*
 * The answers since the user spoke are one turn of the model's for the API. If
 * that does not begin with thinking, a request that asks for more is refused:
 * another model has begun it, or this one was not asked to think then. A
 * message of the user's behind results does not end it, as the API makes one
 * of both.
 */
enum round {
	ROUND_ANSWERED = 1,
	ROUND_UNTHOUGHT = 2, /* its first answer begins otherwise */
	ROUND_RESULTS = 4,   /* they came behind the last answer */
};

/* How messages begin; we have written those ourselves. */
#define FIRST(role, type)                                                      \
	"{\"role\":\"" role "\",\"content\":[{\"type\":\"" type "\""
#define THINKING FIRST("assistant", "thinking")
#define REDACTED FIRST("assistant", "redacted_thinking")
#define RESULTS FIRST("user", "tool_result")

static int
begins(const struct wire_message *m, const char *start)
{
	size_t n = strlen(start);

	return m->len > n && memcmp(m->text, start, n) == 0;
}

static void
round_add(struct wire_text *t, const struct wire_message *m)
{
	if (begins(m, "{\"role\":\"assistant\"")) {
		if (!(t->round & ROUND_ANSWERED) &&
		    (!m->own || !(begins(m, THINKING) || begins(m, REDACTED))))
			t->round |= ROUND_UNTHOUGHT;
		t->round |= ROUND_ANSWERED;
		t->round &= ~(unsigned)ROUND_RESULTS;
	} else if (begins(m, RESULTS)) {
		t->round |= ROUND_RESULTS;
	} else if (!(t->round & ROUND_RESULTS)) {
		t->round = 0;
	}
}

/* ---- messages ---- */

static const char *const block_types[] = { "text", "image", "document",
	"tool_use", "tool_result" };

static int
is_neutral(const char *type)
{
	for (size_t i = 0;
	     type != NULL && i < sizeof(block_types) / sizeof(block_types[0]);
	     i++)
		if (strcmp(block_types[i], type) == 0)
			return 1;
	return 0;
}

/* Without members that only other providers' blocks have. */
static int
add_foreign_block(struct buf *b, const struct json *block)
{
	const char *text = json_get_str(block, "text");
	const struct json *m;

	if (!is_neutral(json_get_str(block, "type")) ||
	    (text != NULL && *text == '\0'))
		return 0;
	json_open(b, NULL, '{');
	for (m = json_first(block); m != NULL; m = json_next(m))
		if (strcmp(json_name(m), "native") != 0 &&
		    strcmp(json_name(m), "refusal") != 0 &&
		    strcmp(json_name(m), "citations") != 0)
			json_add_json(b, json_name(m), m);
	json_close(b, '}');
	return 1;
}

static void
add_foreign(struct wire_text *t, const struct wire_message *m)
{
	const struct json *content = json_get(m->doc, "content"), *c;
	size_t before = t->out->len;
	int blocks = 0;

	json_open(t->out, NULL, '{');
	json_add_str(t->out, "role", json_get_str(m->doc, "role"));
	json_open(t->out, "content", '[');
	for (c = json_first(content); c != NULL; c = json_next(c))
		blocks += add_foreign_block(t->out, c);
	json_close(t->out, ']');
	json_close(t->out, '}');
	if (blocks > 0)
		t->shown++;
	else
		buf_truncate(t->out, before);
}

static void
add(struct wire_text *t, const struct wire_model *model,
    const struct wire_message *m)
{
	(void)model;
	round_add(t, m);
	if (m->own || !json_is(json_get(m->doc, "content"), JSON_ARRAY)) {
		wire_entry(t);
		buf_add(t->out, m->text, m->len);
	} else {
		add_foreign(t, m);
	}
}

/* ---- the rest ---- */

/* Marks the last block of the last message, which ends in }]} . */
static void
mark_last_message(struct buf *b)
{
	static const char end[] = "}]}";

	if (b->len < 3 || memcmp(b->data + b->len - 3, end, 3) != 0)
		return;
	b->len -= 3;
	buf_lit(b, cache_marker);
	buf_lit(b, end);
}

/* One block more in the last message, behind what the provider may cache. */
static void
add_extra(struct buf *b, const char *extra)
{
	if (*extra == '\0' || b->len < 3)
		return;
	b->len -= 2; /* ]} */
	buf_lit(b, ",{\"type\":\"text\",\"text\":\"");
	json_escape(b, extra, strlen(extra));
	buf_lit(b, "\"}]}");
}

static void
add_system(struct buf *b, const char *system, int mark)
{
	if (*system == '\0')
		return;
	buf_lit(b, ",\"system\":[{\"type\":\"text\",\"text\":\"");
	json_escape(b, system, strlen(system));
	buf_putc(b, '"');
	if (mark)
		buf_lit(b, cache_marker);
	buf_lit(b, "}]");
}

/* Newer models are asked to by model.members, as they see fit. */
static int
members_think(const char *members)
{
	struct arena *a = arena_open(1024);
	const struct json *all =
	    json_parse(a, members, strlen(members), JSON_DEPTH_MAX, NULL);
	const char *type = json_get_str(json_get(all, "thinking"), "type");
	int thinks = type != NULL && strcmp(type, "disabled") != 0;

	arena_close(&a);
	return thinks;
}

/* While it thinks no tool can be forced on it. */
static void
add_choice(struct buf *b, const struct wire_request *rq, int64_t thinking)
{
	const char *choice = rq->tool_choice;

	if (*choice == '\0')
		return;
	if ((*choice == '=' || strcmp(choice, "any") == 0) &&
	    (thinking > 0 || members_think(rq->model->members)))
		choice = "auto";
	json_open(b, "tool_choice", '{');
	json_add_str(b, "type", *choice == '=' ? "tool" : choice);
	if (*choice == '=')
		json_add_str(b, "name", choice + 1);
	json_close(b, '}');
}

/* How hard it thinks, and the schema of the answer. */
static void
add_output(struct buf *b, const struct wire_request *rq)
{
	if (*rq->model->effort == '\0' && *rq->schema == '\0')
		return;
	json_open(b, "output_config", '{');
	if (*rq->model->effort != '\0')
		json_add_str(b, "effort", rq->model->effort);
	if (*rq->schema != '\0') {
		json_open(b, "format", '{');
		json_add_str(b, "type", "json_schema");
		json_add_raw(b, "schema", rq->schema, strlen(rq->schema));
		json_close(b, '}');
	}
	json_close(b, '}');
}

static void
finish(struct wire_text *t, const struct wire_request *rq)
{
	const struct wire_model *m = rq->model;
	int64_t thinking = t->round & ROUND_UNTHOUGHT ? 0 : m->thinking;
	struct buf *b = t->out;

	if (m->cache_markers)
		mark_last_message(b);
	add_extra(b, rq->extra);
	buf_lit(b, "],\"model\":\"");
	json_escape(b, m->id, strlen(m->id));
	buf_printf(b, "\",\"max_tokens\":%lld,\"stream\":true",
	    (long long)m->max_tokens);
	if (*rq->tools != '\0') {
		json_add_raw(b, "tools", rq->tools, strlen(rq->tools));
		add_choice(b, rq, thinking);
	}
	add_system(b, rq->system, m->cache_markers);
	if (thinking > 0)
		buf_printf(b,
		    ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":"
		    "%lld}",
		    (long long)thinking);
	add_output(b, rq);
	wire_members(b, m->members);
	buf_putc(b, '}');
}

static void
tools(struct buf *out, const char *tools, unsigned quirks)
{
	(void)quirks;
	buf_puts(out, tools);
}

const struct model_wire wire_anthropic = {
	.start = "{\"messages\":[",
	.add = add,
	.finish = finish,
	.tools = tools,
};
