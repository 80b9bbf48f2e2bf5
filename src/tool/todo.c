/* SPDX-License-Identifier: MIT */
/* The todo list and its two tools. Rules: spec/kode.md, section 1.12. */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "tool/todo.h"

#define ITEMS_MAX 200
#define TEXT_MAX_BYTES 4096
#define DEPTH 8
#define EMPTY "{\"todos\":[],\"version\":0}"

static const struct json *
list_parse(struct arena *a, const char *text)
{
	if (*text == '\0')
		text = EMPTY;
	return json_parse(a, text, strlen(text), DEPTH, NULL);
}

static const struct json *
item_find(const struct json *list, const char *id)
{
	const char *theirs;

	for (const struct json *i = json_first(list); i != NULL;
	     i = json_next(i)) {
		theirs = json_get_str(i, "id");
		if (theirs != NULL && strcmp(theirs, id) == 0)
			return i;
	}
	return NULL;
}

static int
is_blank(const char *s)
{
	return s == NULL || s[strspn(s, " \t\r\n\v\f")] == '\0';
}

static int
is_status(const char *s)
{
	return s != NULL &&
	       (strcmp(s, "pending") == 0 || strcmp(s, "in_progress") == 0 ||
		   strcmp(s, "completed") == 0);
}

static int
item_check(const struct json *list, const struct json *item, struct err *err)
{
	const char *id = json_get_str(item, "id");
	const char *status = json_get_str(item, "status");
	static const char *const texts[] = { "id", "title", "assignee",
		"notes" };

	if (is_blank(id))
		return err_set(err, ERR_INVALID, "a todo has no id");
	if (item_find(list, id) != item)
		return err_set(
		    err, ERR_INVALID, "Duplicate todo id: %.60s", id);
	if (is_blank(json_get_str(item, "title")))
		return err_set(
		    err, ERR_INVALID, "Todo %.60s must have a title", id);
	if (!is_status(status))
		return err_set(err, ERR_INVALID,
		    "Todo %.60s: status is pending, in_progress or completed",
		    id);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *s = json_get_str(item, texts[i]);

		if (s != NULL && strlen(s) > TEXT_MAX_BYTES)
			return err_set(err, ERR_INVALID,
			    "Todo %.60s: %s is longer than %d bytes", id,
			    texts[i], TEXT_MAX_BYTES);
	}
	return 0;
}

static int
list_check(const struct json *list, struct err *err)
{
	int working = 0;

	if (!json_is(list, JSON_ARRAY) || json_count(list) > ITEMS_MAX)
		return err_set(err, ERR_INVALID,
		    "todos is a list of at most %d items", ITEMS_MAX);
	for (const struct json *i = json_first(list); i != NULL;
	     i = json_next(i)) {
		if (item_check(list, i, err) < 0)
			return -1;
		working +=
		    strcmp(json_get_str(i, "status"), "in_progress") == 0;
	}
	if (working > 1)
		return err_set(
		    err, ERR_INVALID, "Only one todo can be in progress");
	return 0;
}

static int
same_text(const struct json *a, const struct json *b, const char *name)
{
	const char *x = json_get_str(a, name), *y = json_get_str(b, name);

	return strcmp(x == NULL ? "" : x, y == NULL ? "" : y) == 0;
}

/* One item, with the times of the one that it replaces. */
static void
item_write(struct buf *out, const struct json *item, const struct json *old,
    int64_t now_ms)
{
	static const char *const texts[] = { "id", "title", "status",
		"assignee", "notes" };
	int64_t created = now_ms, updated = now_ms;
	int same = old != NULL;

	json_open(out, NULL, '{');
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *s = json_get_str(item, texts[i]);

		if (s != NULL)
			json_add_str(out, texts[i], s);
		same = same && same_text(item, old, texts[i]);
	}
	if (old != NULL)
		json_get_int(old, "createdAt", &created);
	if (same)
		json_get_int(old, "updatedAt", &updated);
	json_add_int(out, "createdAt", created);
	json_add_int(out, "updatedAt", updated);
	json_close(out, '}');
}

int
todo_make(const char *current, const struct json *todos, int64_t now_ms,
    struct buf *out, struct err *err)
{
	struct arena *a;
	const struct json *before, *old;
	int64_t version = 0;

	if (list_check(todos, err) < 0)
		return -1;
	a = arena_open(4096);
	before = list_parse(a, current);
	old = json_get(before, "todos");
	json_get_int(before, "version", &version);
	json_open(out, NULL, '{');
	json_open(out, "todos", '[');
	for (const struct json *i = json_first(todos); i != NULL;
	     i = json_next(i))
		item_write(
		    out, i, item_find(old, json_get_str(i, "id")), now_ms);
	json_close(out, ']');
	json_add_int(out, "version", version + 1);
	json_add_int(out, "updatedAt", now_ms);
	json_close(out, '}');
	arena_close(&a);
	return 0;
}

/* ---- the tools ---- */

static void
read_start(struct tool_run *r)
{
	const struct json *list = list_parse(r->arena, r->todos);

	json_open(&r->data, NULL, '{');
	json_add_json(&r->data, "todos", json_get(list, "todos"));
	json_close(&r->data, '}');
	tool_run_end(r);
}

static void
write_start(struct tool_run *r)
{
	const struct json *todos = json_get(r->args, "todos");
	struct buf out;
	struct err err;

	buf_init(&out, r->arena);
	if (todo_make(r->todos, todos, r->now_ms, &out, &err) < 0) {
		tool_run_fail(r, TOOL_ERROR_LOGICAL, err.text);
		return;
	}
	r->new_todos = buf_str(&out);
	json_open(&r->data, NULL, '{');
	json_add_int(&r->data, "count", (int64_t)json_count(todos));
	json_close(&r->data, '}');
	tool_run_end(r);
}

const struct tool_kind todo_read_kind = { read_start, NULL };
const struct tool_kind todo_write_kind = { write_start, NULL };
