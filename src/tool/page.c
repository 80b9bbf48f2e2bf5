/* SPDX-License-Identifier: MIT */
/* Functions of pages: see page.h. */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "store/pages.h"
#include "tool/page.h"
#include "tool/schema.h"

#define NAME_CHARS 64 /* the providers' */
#define DESCRIPTION_BYTES 4096
#define SCHEMA_BYTES 16384
#define ERROR_BYTES 4096

/* ---- what there is ---- */

/* client__NAME; "" if there is no name. */
static const char *
tool_name(struct arena *a, const char *name)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	struct buf b;

	buf_init(&b, a);
	if (name == NULL || *name == '\0')
		return "";
	buf_puts(&b, PAGE_PREFIX);
	for (; *name != '\0' && b.len < NAME_CHARS; name++)
		if ((*name & 0xc0) != 0x80) /* a character, not a byte */
			buf_putc(&b, strchr(chars, *name) ? *name : '_');
	return buf_str(&b);
}

static int
is_there(const struct page_tools *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->tools[i].name, name) == 0)
			return 1;
	return 0;
}

/* 1 if they are JSON Schema of an object, as providers want it. */
static int
is_schema(const struct json *parameters)
{
	const char *type = json_get_str(parameters, "type");

	return type != NULL && strcmp(type, "object") == 0 &&
	       json_get(parameters, "_def") == NULL;
}

/* Of the arguments, in t: as they are said, or any. */
static void
set_schema(struct arena *a, struct tool *t, const struct json *parameters)
{
	struct buf b;

	buf_init(&b, a);
	if (is_schema(parameters))
		json_print(&b, parameters);
	if (b.len > SCHEMA_BYTES)
		buf_clear(&b);
	if (b.len == 0 && json_count(parameters) > 0)
		t->description = arena_printf(a,
		    "%s\n\nThe page does not say here which arguments it "
		    "takes: it gets the object that you pass as it is.",
		    t->description);
	t->schema = b.len == 0 ? SCHEMA_ANY_OBJECT : b.data;
	t->schema_doc =
	    json_parse(a, t->schema, strlen(t->schema), PAGE_DEPTH, NULL);
	t->schema_doc = schema_usable(a, t->schema_doc);
}

/* A capability, of whatever kind. */
static void
add_tool(struct arena *a, struct page_tools *out, const struct json *j,
    const struct page *page, int64_t timeout_ms)
{
	const char *type = json_get_str(j, "type");
	const char *name = tool_name(a, json_get_str(j, "name"));
	const char *text = json_get_str(j, "description");
	struct page_function *f;
	struct tool *t;

	if (type == NULL || strcmp(type, "function") != 0 || *name == '\0' ||
	    out->count == PAGE_TOOLS_MAX || is_there(out, name))
		return;
	if (text == NULL || *text == '\0')
		text = "A function of a page that the user has open.";
	f = arena_new(a, struct page_function);
	f->client = page->client;
	f->name = arena_strdup(a, json_get_str(j, "name"));
	f->timeout_ms = timeout_ms;
	t = &out->tools[out->count++];
	*t = (struct tool){ .name = name,
		.description = arena_memdup(a, text,
		    json_utf8_whole(text, strnlen(text, DESCRIPTION_BYTES))),
		.effect = TOOL_WRITES,
		.kind = &page_kind,
		.page = f };
	set_schema(a, t, json_get(j, "parameters"));
}

void
page_tools_make(struct arena *a, const struct page *pages, size_t count,
    int64_t timeout_ms, struct page_tools *out)
{
	struct arena *scratch = arena_open(16384);

	out->tools = arena_alloc(a, PAGE_TOOLS_MAX * sizeof(*out->tools));
	out->count = 0;
	for (size_t i = 0; i < count; i++) {
		const char *text = pages[i].capabilities;
		const struct json *list;

		if (text == NULL)
			continue;
		arena_reset(scratch);
		list =
		    json_parse(scratch, text, strlen(text), PAGE_DEPTH, NULL);
		for (const struct json *j = json_first(list); j != NULL;
		     j = json_next(j))
			add_tool(a, out, j, &pages[i], timeout_ms);
	}
	arena_close(&scratch);
}

/* ---- a run ---- */

/* What the page itself said went wrong, in bounds. */
static const char *
complaint(struct tool_run *r, const struct page_call *c)
{
	const char *text =
	    c->message == NULL ? "the page says that it failed" : c->message;
	size_t n = json_utf8_whole(text, strnlen(text, ERROR_BYTES));
	const char *code = c->code == NULL ? "" : c->code;
	size_t m = json_utf8_whole(code, strnlen(code, 128));

	return arena_printf(r->arena, "%.*s%s%.*s", (int)m, code,
	    m > 0 ? ": " : "", (int)n, text);
}

static void
take_failure(struct tool_run *r, const struct page_call *c)
{
	switch (c->end) {
	case PAGE_LATE:
		tool_run_fail(r, TOOL_ERROR_TIMEOUT,
		    arena_printf(r->arena,
			"the page did not answer within %.1f s",
			(double)c->timeout_ms / 1000));
		return;
	case PAGE_LEFT:
		tool_run_fail(r, TOOL_ERROR_ABORTED,
		    "the page was closed before it answered; whether it has "
		    "done it is not known");
		return;
	case PAGE_CANCELLED:
		tool_run_fail(r, TOOL_ERROR_ABORTED, c->message);
		return;
	case PAGE_UNKNOWN:
		tool_run_fail(r, TOOL_ERROR_EXCEPTION,
		    "the page is not open any more; it was not asked");
		return;
	case PAGE_UNSENT:
		tool_run_fail(r, TOOL_ERROR_EXCEPTION, complaint(r, c));
		return;
	case PAGE_FAILED:
	case PAGE_ANSWERED:
		break;
	}
	tool_run_fail(r, TOOL_ERROR_LOGICAL, complaint(r, c));
}

static void
on_answer(void *ctx, struct page_call *c)
{
	struct tool_run *r = ctx;

	if (c->end != PAGE_ANSWERED) {
		take_failure(r, c);
		return;
	}
	if (c->result != NULL)
		json_print(&r->data, c->result);
	tool_run_end(r);
}

static const char *
command(struct tool_run *r)
{
	struct buf b;

	buf_init(&b, r->arena);
	json_open(&b, NULL, '{');
	json_add_str(&b, "target", r->tool->page->name);
	json_add_str(&b, "action", "call");
	json_add_json(&b, "parameters", r->args);
	json_add_str(&b, "command", "call");
	json_close(&b, '}');
	return buf_str(&b);
}

static void
page_start(struct tool_run *r)
{
	struct page_call *c = arena_new(r->arena, struct page_call);

	*c = (struct page_call){ .arena = r->arena,
		.user = r->user,
		.client = r->tool->page->client,
		.command = command(r),
		.timeout_ms = r->tool->page->timeout_ms,
		.on_end = on_answer,
		.ctx = r };
	r->own = c;
	page_call_start(r->host->pages, c);
}

static void
page_cancel(struct tool_run *r)
{
	page_call_cancel(r->own);
}

const struct tool_kind page_kind = { page_start, page_cancel };
