/* SPDX-License-Identifier: MIT */
/* Compaction: see compact.h. Its part in a turn is turn_compact.c. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "agent/compact.h"
#include "base/arena.h"
#include "base/json.h"

#define TEXT_MAX 4000  /* bytes of one text in a transcript */
#define RESULT_MAX 600 /* of a tool's result, or of its arguments */
#define MECHANICAL_MAX 200

/* Where the turn of a document begins, and how long it is: "trn_..". */
static const char *
turn_at(const char *doc, size_t *len)
{
	const char *p = strstr(doc, "\"turn\":\"");

	if (p == NULL)
		abort(); /* we did not write this */
	p += 8;
	*len = strcspn(p, "\"");
	return p;
}

static int
same_turn(const char *a, const char *b)
{
	size_t n, m;
	const char *x = turn_at(a, &n), *y = turn_at(b, &m);

	return n == m && memcmp(x, y, n) == 0;
}

static int
is_of_turn(const char *doc, const char *turn)
{
	size_t n;
	const char *p = turn_at(doc, &n);

	return n == strlen(turn) && memcmp(p, turn, n) == 0;
}

struct compact_plan
compact_plan(const char *const *docs, size_t count, const char *running,
    int64_t keep_turns, size_t keep_bytes)
{
	struct compact_plan plan = { count, count, 0 };
	size_t at, bytes = 0;

	while (
	    plan.turn_from > 0 && is_of_turn(docs[plan.turn_from - 1], running))
		bytes += strlen(docs[--plan.turn_from]);
	plan.keep_from = plan.turn_from;
	for (; keep_turns > 0 && plan.keep_from > 0; keep_turns--) {
		at = plan.keep_from;
		do
			bytes += strlen(docs[--at]);
		while (at > 0 && same_turn(docs[at - 1], docs[at]));
		if (bytes > keep_bytes)
			break;
		plan.keep_from = at;
	}
	for (size_t i = 0; i < plan.keep_from; i++)
		plan.cut_bytes += strlen(docs[i]);
	if (plan.keep_from == 1 && strstr(docs[0], "\"kind\":\"summary\""))
		plan.keep_from = 0; /* it would be summarised again */
	return plan;
}

int
compact_is_pinned(const char *doc)
{
	const char *role = strstr(doc, "\"role\":");

	return role != NULL &&
	       memmem(doc, (size_t)(role - doc), "\"pinned\":true", 13) != NULL;
}

/* ---- texts ---- */

static void
add_cut(struct buf *out, const char *label, const char *text, size_t max)
{
	size_t n = strlen(text);

	if (n > max)
		n = json_utf8_whole(text, max);
	buf_printf(out, "[%s] ", label);
	buf_add(out, text, n);
	buf_puts(out, n < strlen(text) ? " ...\n" : "\n");
}

static void
add_json(struct arena *a, struct buf *out, const char *label,
    const struct json *j, size_t max)
{
	struct buf text;

	buf_init(&text, a);
	if (json_str(j) != NULL)
		buf_puts(&text, json_str(j));
	else if (j != NULL)
		json_print(&text, j);
	add_cut(out, label, buf_str(&text), max);
}

static void
add_block(struct arena *a, struct buf *out, const char *role,
    const struct json *b, size_t text_max, size_t result_max)
{
	const char *type = json_get_str(b, "type");

	if (type == NULL)
		return;
	if (strcmp(type, "text") == 0)
		add_cut(out, role, json_get_str(b, "text"), text_max);
	else if (strcmp(type, "tool_use") == 0)
		add_json(a, out,
		    arena_printf(
			a, "%s calls %s", role, json_get_str(b, "name")),
		    json_get(b, "input"), result_max);
	else if (strcmp(type, "tool_result") == 0)
		add_json(a, out, "result", json_get(b, "content"), result_max);
	else if (strcmp(type, "thinking") != 0 &&
		 strcmp(type, "redacted_thinking") != 0)
		buf_printf(out, "[%s] (%s)\n", role, type);
}

static void
add_doc(struct arena *a, struct buf *out, const char *doc, size_t text_max,
    size_t result_max)
{
	const struct json *j =
	    json_parse(a, doc, strlen(doc), JSON_DEPTH_MAX, NULL);
	const char *role = json_get_str(j, "role");

	if (role == NULL)
		return;
	for (const struct json *b = json_first(json_get(j, "content"));
	     b != NULL; b = json_next(b))
		add_block(a, out, role, b, text_max, result_max);
}

/* Takes out of the middle what is too much: the old summary stands first. */
static void
shorten(struct arena *a, struct buf *b, size_t max)
{
	size_t head, tail;
	struct buf out;

	if (b->len <= max)
		return;
	head = json_utf8_whole(b->data, max / 4);
	tail = b->len - (max - head);
	while (tail < b->len && ((unsigned char)b->data[tail] & 0xc0) == 0x80)
		tail++;
	buf_init(&out, a);
	buf_add(&out, b->data, head);
	buf_puts(&out, "\n[...]\n");
	buf_add(&out, b->data + tail, b->len - tail);
	*b = out;
}

void
compact_transcript(struct arena *a, const char *const *docs, size_t count,
    size_t max, struct buf *out)
{
	buf_init(out, a);
	for (size_t i = 0; i < count; i++)
		add_doc(a, out, docs[i], TEXT_MAX, RESULT_MAX);
	shorten(a, out, max);
}

void
compact_mechanical(struct arena *a, const char *const *docs, size_t count,
    size_t max, struct buf *out)
{
	buf_init(out, a);
	for (size_t i = 0; i < count; i++)
		add_doc(a, out, docs[i], MECHANICAL_MAX, MECHANICAL_MAX / 2);
	shorten(a, out, max);
}
