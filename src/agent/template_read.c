/* SPDX-License-Identifier: MIT */
/* The members of a template. An unknown one is an error: it would be a typo
 * that nobody notices. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/template_budgets.h"
#include "agent/template_mcp.h"
#include "agent/template_members.h"
#include "agent/template_read.h"
#include "agent/template_retention.h"
#include "agent/toolset.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "net/webhook.h"
#include "sandbox/hosts.h"
#include "tool/http.h"
#include "tool/output.h"
#include "tool/permit.h"
#include "tool/schema.h"

#define TIMEOUT_DEFAULT_S 30
#define HOOK_TIMEOUT_DEFAULT_S 5
#define TIMEOUT_MAX_S 3600
#define ANSWER_DEFAULT_BYTES (1024 * 1024)
#define ANSWER_MAX_BYTES (16 * 1024 * 1024)
#define NAME_MAX_CHARS 64 /* the providers' */

static const char *
print(struct arena *a, const struct json *j)
{
	struct buf b;

	buf_init(&b, a);
	json_print(&b, j);
	return buf_str(&b);
}

/* ---- httpTools ---- */

static int
check_tool_name(const char *name, struct err *err)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t n = strlen(name);

	if (n == 0 || n > NAME_MAX_CHARS || strspn(name, chars) != n)
		return err_set(err, ERR_CONFIG,
		    "name is 1 to %d letters, digits, _ or -", NAME_MAX_CHARS);
	if (tool_find(name) != NULL)
		return err_set(err, ERR_CONFIG,
		    "name: \"%s\" is a tool of the server itself", name);
	return 0;
}

static int
read_schema(
    struct arena *a, const struct json *j, struct tool *out, struct err *err)
{
	static const char none[] = "{\"type\":\"object\"}";
	const struct json *schema = json_get(j, "inputSchema");

	if (schema == NULL)
		schema = json_parse(a, none, strlen(none), 2, err);
	if (schema_supported(schema, err) < 0)
		return err_prefix(err, "inputSchema");
	out->schema_doc = schema;
	out->schema = print(a, schema);
	return 0;
}

static int
read_http_tool(
    struct arena *a, const struct json *j, struct tool *out, struct err *err)
{
	static const char *const names[] = { "name", "description",
		"inputSchema", "url", "readOnly", "timeout", "maxAnswer",
		NULL };
	struct tool_http *http = arena_new(a, struct tool_http);
	int64_t seconds = TIMEOUT_DEFAULT_S, bytes = ANSWER_DEFAULT_BYTES;

	if (template_names(j, names, err) < 0 ||
	    template_str(j, "name", &out->name, err) < 0 ||
	    check_tool_name(out->name, err) < 0 ||
	    template_str(j, "description", &out->description, err) < 0 ||
	    template_url(j, &http->url, err) < 0 ||
	    template_int(j, "timeout", TIMEOUT_MAX_S, &seconds, err) < 0 ||
	    template_int(j, "maxAnswer", ANSWER_MAX_BYTES, &bytes, err) < 0 ||
	    read_schema(a, j, out, err) < 0)
		return -1;
	http->timeout_ms = seconds * 1000;
	http->max_bytes = (size_t)bytes;
	out->http = http;
	out->kind = &http_kind;
	out->effect = json_get_true(j, "readOnly") ? TOOL_READS : TOOL_WRITES;
	return 0;
}

static int
read_http_tools(struct arena *a, const struct json *list,
    struct agent_template *out, struct err *err)
{
	struct tool *tools;
	size_t n = 0;

	if (list == NULL)
		return 0;
	if (!json_is(list, JSON_ARRAY))
		return err_set(err, ERR_CONFIG, "httpTools is not a list");
	tools = arena_alloc(a, (json_count(list) + 1) * sizeof(*tools));
	memset(tools, 0, (json_count(list) + 1) * sizeof(*tools));
	out->http_tools = tools;
	for (const struct json *j = json_first(list); j != NULL;
	     j = json_next(j)) {
		if (read_http_tool(a, j, &tools[n], err) < 0)
			return err_prefix(err, "httpTools[%zu]", n);
		for (size_t i = 0; i < n; i++)
			if (strcmp(tools[i].name, tools[n].name) == 0)
				return err_set(err, ERR_CONFIG,
				    "httpTools[%zu]: the name \"%s\" is used "
				    "before",
				    n, tools[n].name);
		out->http_tool_count = ++n;
	}
	return 0;
}

/* ---- hooks ---- */

static int
read_on_failure(const struct json *j, struct hook *out, struct err *err)
{
	static const char *const words[] = { "deny", "allow", "ask" };
	const char *s;
	int rc = template_str(j, "onFailure", &s, err);

	if (rc <= 0)
		return rc;
	for (int i = 0; i < 3; i++) {
		out->on_failure = (enum hook_failure)i;
		if (strcmp(s, words[i]) == 0)
			return 0;
	}
	return err_set(err, ERR_CONFIG, "onFailure is deny, allow or ask");
}

static int
read_hook(const struct json *j, struct hook *out, struct err *err)
{
	static const char *const names[] = { "url", "timeout", "onFailure",
		NULL };
	int64_t seconds = HOOK_TIMEOUT_DEFAULT_S;

	if (template_names(j, names, err) < 0 ||
	    template_int(j, "timeout", TIMEOUT_MAX_S, &seconds, err) < 0 ||
	    read_on_failure(j, out, err) < 0 ||
	    template_url(j, &out->url, err) < 0)
		return -1;
	out->timeout_ms = seconds * 1000;
	return 0;
}

static int
read_hooks(const struct json *j, struct agent_template *out, struct err *err)
{
	static const char *const names[] = { "preTool", "postTool", "preModel",
		NULL };

	if (j == NULL)
		return 0;
	if (template_names(j, names, err) < 0)
		return err_prefix(err, "hooks");
	for (int i = 0; i < HOOK_COUNT; i++) {
		const struct json *h = json_get(j, names[i]);

		if (h != NULL && read_hook(h, &out->hooks[i], err) < 0)
			return err_prefix(err, "hooks.%s", names[i]);
		if (out->hooks[i].on_failure == HOOK_ASKS && i != HOOK_PRE_TOOL)
			return err_set(err, ERR_CONFIG,
			    "hooks.%s: onFailure is deny or allow; only "
			    "preTool can ask",
			    names[i]);
	}
	return 0;
}

/* ---- skills ---- */

static int
skill_add(const struct skill_list *all, const char *name, struct skill_list *to,
    const struct skill **room, struct err *err)
{
	const struct skill *s =
	    name == NULL ? NULL : skill_list_find(all, name);

	if (name == NULL)
		return err_set(
		    err, ERR_CONFIG, "skills is a list of names, or \"*\"");
	if (s == NULL)
		return err_set(err, ERR_CONFIG,
		    "skills: there is no skill \"%.64s\" in the folder of the "
		    "setting skills",
		    name);
	if (skill_list_find(to, name) == NULL)
		room[to->count++] = s;
	return 0;
}

static int
read_skills(struct arena *a, const struct json *list, const struct skills *all,
    struct skill_list *out, struct err *err)
{
	struct skill_list there = skills_all(all);
	const struct skill **room;

	if (list == NULL)
		return 0;
	if (json_str(list) != NULL && strcmp(json_str(list), "*") == 0) {
		*out = there;
		return 0;
	}
	if (!json_is(list, JSON_ARRAY))
		return err_set(
		    err, ERR_CONFIG, "skills is a list of names, or \"*\"");
	room = arena_alloc(a, (there.count + 1) * sizeof(*room));
	out->skills = room;
	for (const struct json *j = json_first(list); j != NULL;
	     j = json_next(j))
		if (skill_add(&there, json_str(j), out, room, err) < 0)
			return -1;
	return 0;
}

/* ---- the whole ---- */

/* The names that an agent of this template has, if it says no others. */
static int
read_tools(struct arena *a, const struct json *list, struct agent_template *out,
    struct err *err)
{
	struct buf b;

	buf_init(&b, a);
	json_open(&b, NULL, '[');
	if (list != NULL && toolset_check(out, list, err) < 0)
		return -1;
	for (const struct json *n = json_first(list); n != NULL;
	     n = json_next(n))
		json_add_json(&b, NULL, n);
	for (size_t i = 0; list == NULL && i < out->http_tool_count; i++)
		json_add_str(&b, NULL, out->http_tools[i].name);
	for (size_t i = 0; list == NULL && i < out->mcp_server_count; i++)
		json_add_str(&b, NULL,
		    arena_printf(a, "mcp__%s__*", out->mcp_servers[i].name));
	json_close(&b, ']');
	out->tools = b.len > 2 ? b.data : "";
	return 0;
}

static int
read_permission(struct arena *a, const struct json *j,
    struct agent_template *out, struct err *err)
{
	out->permission = "";
	if (j == NULL)
		return 0;
	if (permit_parse(a, j, err) == NULL)
		return -1;
	out->permission = print(a, j);
	return 0;
}

static int
read_network(struct arena *a, const struct json *j, struct agent_template *out,
    struct err *err)
{
	out->network = j;
	return j == NULL || hosts_parse(a, j, err) != NULL ? 0 : -1;
}

static int
read_models(const struct json *j, struct agent_template *out, struct err *err)
{
	out->models = j;
	if (j != NULL && !json_is(j, JSON_ARRAY))
		return err_set(err, ERR_CONFIG, "models is not a list");
	for (const struct json *m = json_first(j); m != NULL; m = json_next(m))
		if (json_str(m) == NULL)
			return err_set(
			    err, ERR_CONFIG, "models is not a list of names");
	return 0;
}

int
template_read(struct arena *a, const struct json *j,
    const struct skills *skills, struct agent_template *out, struct err *err)
{
	static const char *const names[] = { "description", "systemPrompt",
		"model", "models", "tools", "permission", "httpTools", "hooks",
		"subagents", "mcp", "skills", "network", "outputSchema",
		"toolChoice", "budgets", "onBudget", "retention", NULL };

	if (template_names(j, names, err) < 0 ||
	    template_str(j, "description", &out->description, err) < 0 ||
	    template_str(j, "systemPrompt", &out->prompt, err) < 0 ||
	    template_str(j, "model", &out->model, err) < 0 ||
	    read_models(json_get(j, "models"), out, err) < 0 ||
	    output_check(j, err) < 0 ||
	    read_http_tools(a, json_get(j, "httpTools"), out, err) < 0 ||
	    read_network(a, json_get(j, "network"), out, err) < 0 ||
	    template_read_mcp(a, json_get(j, "mcp"), out, err) < 0 ||
	    read_skills(a, json_get(j, "skills"), skills, &out->skills, err) <
		0 ||
	    read_tools(a, json_get(j, "tools"), out, err) < 0 ||
	    read_permission(a, json_get(j, "permission"), out, err) < 0 ||
	    template_read_budgets(j, &out->budgets, &out->on_budget, err) < 0 ||
	    read_hooks(json_get(j, "hooks"), out, err) < 0 ||
	    template_read_retention(
		json_get(j, "retention"), &out->retention, err) < 0)
		return -1;
	out->output = j;
	out->subagents = json_get(j, "subagents");
	if (out->subagents != NULL && !json_is(out->subagents, JSON_ARRAY))
		return err_set(
		    err, ERR_CONFIG, "subagents is not a list of templates");
	return 0;
}
