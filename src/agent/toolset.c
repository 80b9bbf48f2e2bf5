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
#include "mcp/mcp.h"
#include "tool/mcp.h"
#include "tool/skill_tool.h"
#include "tool/skills.h"

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

/* ---- MCP servers ---- */

/* 1 if a name is mcp__SERVER__ and more. */
static int
is_of(const char *name, const struct mcp_server *s)
{
	size_t n = strlen(s->name);

	return strncmp(name, "mcp__", 5) == 0 &&
	       strncmp(name + 5, s->name, n) == 0 &&
	       strncmp(name + 5 + n, "__", 2) == 0;
}

static int
is_of_any(const struct agent_template *t, const char *name)
{
	for (size_t i = 0; t != NULL && i < t->mcp_server_count; i++)
		if (is_of(name, &t->mcp_servers[i]))
			return 1;
	return 0;
}

int
toolset_wants(struct arena *a, const char *names, const struct mcp_server *s)
{
	for (const struct json *n = json_first(parse(a, names)); n != NULL;
	     n = json_next(n))
		if (is_of(json_str(n), s))
			return 1;
	return 0;
}

/* The tools of a server that a name, which may end in *, means. */
static void
add_of_server(struct arena *a, struct toolset *ts,
    const struct toolset_server *s, const char *name)
{
	const char *const pattern[] = { name, NULL };
	struct tool *tool;

	if (s->catalog == NULL || !is_of(name, s->catalog->server))
		return;
	for (size_t i = 0; i < s->catalog->count; i++) {
		const struct mcp_item *item = &s->catalog->items[i];

		if (!mcp_matches(pattern, item->name) ||
		    toolset_find(ts, item->name) != NULL)
			continue;
		tool = arena_new(a, struct tool);
		mcp_tool_make(a, item, s->peer, tool);
		ts->tools[ts->count++] = tool;
	}
}

/* ---- pages ---- */

static int
is_of_page(const char *name)
{
	return strncmp(name, PAGE_PREFIX, strlen(PAGE_PREFIX)) == 0 &&
	       name[strlen(PAGE_PREFIX)] != '\0';
}

/* The functions of pages that a name, which may end in *, means. */
static void
add_of_pages(
    struct toolset *ts, const struct page_tools *pages, const char *name)
{
	const char *const pattern[] = { name, NULL };

	for (size_t i = 0; is_of_page(name) && i < pages->count; i++) {
		const struct tool *tool = &pages->tools[i];

		if (mcp_matches(pattern, tool->name) &&
		    toolset_find(ts, tool->name) == NULL)
			ts->tools[ts->count++] = tool;
	}
}

/* ---- all of them ---- */

static size_t
count_all(const struct toolset_server *servers, size_t n)
{
	size_t all = 0;

	for (size_t i = 0; i < n; i++)
		if (servers[i].catalog != NULL)
			all += servers[i].catalog->count;
	return all;
}

/* Whether an agent that has named it can have it. */
static int
is_possible(
    const struct tool *tool, const struct agent_template *t, int with_tasks)
{
	if (tool == NULL || (tool->is_task && !with_tasks))
		return 0;
	return !tool->needs_skills || (t != NULL && t->skills.count > 0);
}

static void
tool_add(struct toolset *ts, const char *name, int with_tasks)
{
	const struct tool *tool = find_any(ts->template, name);

	if (toolset_find(ts, name) == NULL &&
	    is_possible(tool, ts->template, with_tasks))
		ts->tools[ts->count++] = tool;
}

/* The prompt, and behind it the skills, if the model may load them. */
static const char *
make_system(struct arena *a, const struct toolset *ts, const char *prompt)
{
	const struct tool *tool = toolset_find(ts, SKILLS_TOOL);
	struct buf b;

	if (tool == NULL ||
	    !permit_advertised(ts->permit, tool->name, tool->effect))
		return prompt;
	buf_init(&b, a);
	buf_puts(&b, prompt);
	buf_puts(&b, b.len > 0 ? "\n\n" : "");
	skill_list_prompt(&ts->template->skills, &b);
	return buf_str(&b);
}

struct toolset *
toolset_make(struct arena *a, const struct toolset_spec *spec)
{
	struct toolset *ts = arena_new(a, struct toolset);
	const struct json *list = parse(a, spec->names);
	size_t room = json_count(list) +
		      count_all(spec->servers, spec->server_count) +
		      spec->pages.count + 2;

	ts->count = 0;
	ts->template = spec->template;
	ts->tools = arena_alloc(a, room * sizeof(*ts->tools));
	ts->permit = permit_parse(a, parse(a, spec->permission), NULL);
	if (ts->permit == NULL)
		abort(); /* it was read when the agent was made */
	for (const struct json *n = json_first(list); n != NULL;
	     n = json_next(n)) {
		for (size_t i = 0; i < spec->server_count; i++)
			add_of_server(a, ts, &spec->servers[i], json_str(n));
		tool_add(ts, json_str(n), spec->with_tasks);
		add_of_pages(ts, &spec->pages, json_str(n));
	}
	tool_add(ts, SKILLS_TOOL, spec->with_tasks);
	advertise(a, ts);
	ts->system = make_system(a, ts, spec->prompt);
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
		if (is_of_any(t, json_str(n)) || is_of_page(json_str(n)))
			continue;
		if (find_any(t, json_str(n)) == NULL)
			return complain(t, json_str(n), err);
		if (tool_missing(json_str(n)) != NULL)
			return err_set(err, ERR_INVALID, "tools: %s: %s",
			    json_str(n), tool_missing(json_str(n)));
		if (!is_possible(find_any(t, json_str(n)), t, 1))
			return err_set(err, ERR_INVALID,
			    "tools: %s: the agent's template names no skills",
			    json_str(n));
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
