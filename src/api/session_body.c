/* SPDX-License-Identifier: MIT */
/*
 * Bodies of the routes of sessions, and what is wrong with them, in the words
 * of zod 3, with its members in its order: clients were written against that.
 * A body of another type than JSON counts as {}, as there.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "api/sessions_priv.h"
#include "conf/conf.h"
#include "session/session_id.h"

#define ACCEPTED                                                               \
	"'claude-agent-sdk' | 'claude-sdk' | 'opencode'" /* of session_id.c */

static const char *
type_name(const struct json *j)
{
	static const char *const names[] = { [JSON_NULL] = "null",
		[JSON_BOOL] = "boolean",
		[JSON_NUMBER] = "number",
		[JSON_STRING] = "string",
		[JSON_ARRAY] = "array",
		[JSON_OBJECT] = "object" };

	return j == NULL ? "undefined" : names[json_type(j)];
}

/* A place in the body: the body itself, a member, an element of that, or a
 * member of one. */
struct place {
	const char *name; /* or NULL */
	int64_t element;  /* or -1 */
	const char *member;
};

/* The end of an issue: where, and in words. */
static void
add_place(struct buf *b, const struct place *p, const char *message)
{
	json_open(b, "path", '[');
	if (p->name != NULL)
		json_add_str(b, NULL, p->name);
	if (p->element >= 0)
		json_add_int(b, NULL, p->element);
	if (p->member != NULL)
		json_add_str(b, NULL, p->member);
	json_close(b, ']');
	json_add_str(b, "message", message);
	json_close(b, '}');
}

static const char *
wrong_type(struct api_call *c, const char *expected, const struct json *j)
{
	return j == NULL ? "Required"
			 : arena_printf(c->arena, "Expected %s, received %s",
			       expected, type_name(j));
}

static void
add_type_issue(struct api_call *c, struct buf *b, const char *expected,
    const struct place *at, const struct json *j)
{
	json_open(b, NULL, '{');
	json_add_str(b, "code", "invalid_type");
	json_add_str(b, "expected", expected);
	json_add_str(b, "received", type_name(j));
	add_place(b, at, wrong_type(c, expected, j));
}

static void
add_enum_issue(struct api_call *c, struct buf *b, const struct place *at,
    const struct json *j)
{
	const char *value = json_str(j);

	json_open(b, NULL, '{');
	if (value == NULL) {
		json_add_str(b, "expected", ACCEPTED);
		json_add_str(b, "received", type_name(j));
		json_add_str(b, "code", "invalid_type");
		add_place(b, at, wrong_type(c, ACCEPTED, j));
		return;
	}
	json_add_str(b, "received", value);
	json_add_str(b, "code", "invalid_enum_value");
	json_open(b, "options", '[');
	json_add_str(b, NULL, "claude-agent-sdk");
	json_add_str(b, NULL, "claude-sdk");
	json_add_str(b, NULL, "opencode");
	json_close(b, ']');
	add_place(b, at,
	    arena_printf(c->arena,
		"Invalid enum value. Expected " ACCEPTED ", received '%s'",
		value));
}

static void
check_file(
    struct api_call *c, struct buf *b, struct place at, const struct json *j)
{
	const struct json *path = json_get(j, "path");
	const struct json *content = json_get(j, "content");

	if (!json_is(j, JSON_OBJECT)) {
		add_type_issue(c, b, "object", &at, j);
		return;
	}
	at.member = "path";
	if (!json_is(path, JSON_STRING))
		add_type_issue(c, b, "string", &at, path);
	at.member = "content";
	if (content != NULL && !json_is(content, JSON_STRING))
		add_type_issue(c, b, "string", &at, content);
}

static void
check_files(
    struct api_call *c, struct buf *b, struct place at, const struct json *list)
{
	if (!json_is(list, JSON_ARRAY)) {
		add_type_issue(c, b, "array", &at, list);
		return;
	}
	for (const struct json *j = json_first(list); j != NULL;
	     j = json_next(j)) {
		at.element++;
		check_file(c, b, at, j);
	}
}

static void
check_member(struct api_call *c, struct buf *b, const struct session_member *m)
{
	const struct json *j = json_get(c->body, m->name);
	struct place at = { m->name, -1, NULL };

	if (j == NULL && m->optional)
		return;
	if (m->type == MEMBER_ARCHITECTURE) {
		if (json_str(j) == NULL || session_kind_find(json_str(j)) < 0)
			add_enum_issue(c, b, &at, j);
		return;
	}
	if (m->type == MEMBER_FILES)
		check_files(c, b, at, j);
	else if (!json_is(
		     j, m->type == MEMBER_STRING ? JSON_STRING : JSON_OBJECT))
		add_type_issue(c, b,
		    m->type == MEMBER_STRING ? "string" : "object", &at, j);
}

/* 1 if the header says JSON: application/json or application/...+json. */
static int
is_json(const char *type)
{
	size_t n = type == NULL ? 0 : strcspn(type, "; ");

	return n >= 16 && strncasecmp(type, "application/", 12) == 0 &&
	       strncasecmp(type + n - 4, "json", 4) == 0 &&
	       (n == 16 || type[n - 5] == '+');
}

static int
parse(struct api_call *c)
{
	const struct buf *b = &c->rq->body;
	int json = is_json(http_header(c->rq, "CONTENT_TYPE"));

	c->body = json_parse(c->arena, json ? buf_str(b) : "{}",
	    json ? b->len : 2, (int)c->app->conf->limits_json_depth, NULL);
	return c->body != NULL;
}

int
session_body(struct api_call *c, const struct session_member *members)
{
	struct buf *b = &c->rs->body;

	if (!parse(c))
		return session_refuse(
		    c, 400, "Malformed JSON in request body", NULL);
	json_open(b, NULL, '{');
	json_add_bool(b, "success", 0);
	json_open(b, "error", '{');
	json_open(b, "issues", '[');
	if (!json_is(c->body, JSON_OBJECT))
		add_type_issue(
		    c, b, "object", &(struct place){ NULL, -1, NULL }, c->body);
	else
		for (; members->name != NULL; members++)
			check_member(c, b, members);
	if (b->data[b->len - 1] == '[') { /* nothing is wrong */
		buf_clear(b);
		return 1;
	}
	json_close(b, ']');
	json_add_str(b, "name", "ZodError");
	json_close(b, '}');
	json_close(b, '}');
	http_json(c->rs, 400);
	return 0;
}
