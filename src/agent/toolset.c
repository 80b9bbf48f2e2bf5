/* SPDX-License-Identifier: MIT */
/* Which tools an agent has, and which of them its model is told of. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "agent/templates.h"
#include "agent/toolset.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

#define TOOLS_MAX 256
#define DEPTH 16

static void
advertise(struct arena *a, struct toolset *ts)
{
	struct buf b;

	buf_init(&b, a);
	buf_putc(&b, '[');
	for (size_t i = 0; i < ts->count; i++) {
		const struct tool *tool = ts->tools[i];

		if (!permit_advertised(ts->permit, tool->name, tool->effect))
			continue;
		json_open(&b, NULL, '{');
		json_add_str(&b, "name", tool->name);
		json_add_str(&b, "description", tool->description);
		json_add_raw(
		    &b, "input_schema", tool->schema, strlen(tool->schema));
		json_close(&b, '}');
	}
	buf_putc(&b, ']');
	ts->advertised = b.len > 2 ? b.data : "";
}

static const struct json *
parse(struct arena *a, const char *text)
{
	return *text == '\0' ? NULL
			     : json_parse(a, text, strlen(text), DEPTH, NULL);
}

/* One of the server's, or of the template's. */
static const struct tool *
find_any(const struct agent_template *t, const char *name)
{
	for (size_t i = 0; t != NULL && i < t->http_tool_count; i++)
		if (strcmp(t->http_tools[i].name, name) == 0)
			return &t->http_tools[i];
	return tool_find(name);
}

struct toolset *
toolset_make(struct arena *a, const struct agent_template *t, const char *names,
    const char *permission, int with_tasks)
{
	struct toolset *ts = arena_new(a, struct toolset);
	const struct json *list = parse(a, names);

	ts->count = 0;
	ts->template = t;
	ts->tools = arena_alloc(a, (json_count(list) + 1) * sizeof(*ts->tools));
	ts->permit = permit_parse(a, parse(a, permission), NULL);
	if (ts->permit == NULL)
		abort(); /* it was read when the agent was made */
	for (const struct json *n = json_first(list); n != NULL;
	     n = json_next(n)) {
		if (toolset_find(ts, json_str(n)) != NULL)
			continue; /* named twice */
		ts->tools[ts->count] = find_any(t, json_str(n));
		if (ts->tools[ts->count] != NULL &&
		    (with_tasks || !ts->tools[ts->count]->is_task))
			ts->count++;
	}
	advertise(a, ts);
	return ts;
}

static int
complain(const struct agent_template *t, const char *name, struct err *err)
{
	const struct tool *tool;
	char all[256] = "";
	size_t own = t == NULL ? 0 : t->http_tool_count;

	for (size_t i = 0;; i++) {
		tool = i < own ? &t->http_tools[i] : tool_at(i - own);
		if (tool == NULL ||
		    strlen(all) + strlen(tool->name) + 3 > sizeof(all))
			break;
		strcat(all, i == 0 ? "" : ", ");
		strcat(all, tool->name);
	}
	return err_set(err, ERR_INVALID,
	    "tools: there is no tool \"%.60s\"; there are %s", name, all);
}

int
toolset_check(
    const struct agent_template *t, const struct json *names, struct err *err)
{
	if (!json_is(names, JSON_ARRAY) || json_count(names) > TOOLS_MAX)
		return err_set(err, ERR_INVALID,
		    "tools is a list of at most %d names", TOOLS_MAX);
	for (const struct json *n = json_first(names); n != NULL;
	     n = json_next(n)) {
		if (json_str(n) == NULL)
			return err_set(
			    err, ERR_INVALID, "tools is a list of names");
		if (find_any(t, json_str(n)) == NULL)
			return complain(t, json_str(n), err);
		if (tool_missing(json_str(n)) != NULL)
			return err_set(err, ERR_INVALID, "tools: %s: %s",
			    json_str(n), tool_missing(json_str(n)));
	}
	return 0;
}

const struct tool *
toolset_find(const struct toolset *ts, const char *name)
{
	for (size_t i = 0; i < ts->count; i++)
		if (strcmp(ts->tools[i]->name, name) == 0)
			return ts->tools[i];
	return NULL;
}
