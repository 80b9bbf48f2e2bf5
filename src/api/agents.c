/* SPDX-License-Identifier: MIT */
/* /api/agents and /api/agents/ID: make, list, read, change, delete. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/runner.h"
#include "agent/templates.h"
#include "agent/toolset.h"
#include "api/budgets.h"
#include "api/sessions_priv.h"
#include "base/crash.h"
#include "base/loop.h"
#include "sandbox/client.h"
#include "store/records.h"
#include "store/retain.h"

#define NAME_MAX_BYTES 200
#define PROMPT_MAX_BYTES (64 * 1024)
#define MODEL_MAX_BYTES 128
#define METADATA_MAX_BYTES (16 * 1024)
#define PERMISSION_MAX_BYTES (64 * 1024)
#define LIST_LIMIT 50
#define DEPTH_MAX 16 /* of sub-agents: task.depth's */
#define LIST_LIMIT_MAX 200
#define DELETE_TRIES 8

static void
add_agent(struct buf *b, const struct store_agent *ag)
{
	json_add_str(b, "agentId", ag->id);
	json_add_str(b, "name", ag->name);
	if (*ag->template != '\0')
		json_add_str(b, "template", ag->template);
	if (*ag->model != '\0')
		json_add_str(b, "model", ag->model);
	if (*ag->metadata != '\0')
		json_add_raw(b, "metadata", ag->metadata, strlen(ag->metadata));
	json_add_int(b, "created", ag->created_ms);
	json_add_int(b, "updated", ag->updated_ms);
	json_add_str(b, "state", ag->state);
	json_add_bool(b, "busy", *ag->turn != '\0');
	if (*ag->turn != '\0')
		json_add_str(b, "turn", ag->turn);
}

/* Those that it was forked from or made by, the oldest first. */
static void
add_lineage(struct buf *b, const char *ids)
{
	size_t n;

	if (*ids == '\0')
		return;
	json_open(b, "lineage", '[');
	for (; *ids != '\0'; ids += n + (ids[n] == ' ')) {
		n = strcspn(ids, " ");
		json_add_strn(b, NULL, ids, n);
	}
	json_close(b, ']');
}

/* The whole of one agent, with its ETag. */
static void
respond_agent(struct api_call *c, int status, const struct store_agent *ag)
{
	struct buf *b = &c->rs->body;

	http_json(c->rs, status);
	http_header_add(c->rs, "ETag", "\"%" PRId64 "\"", ag->version);
	buf_putc(b, '{');
	add_agent(b, ag);
	if (*ag->prompt != '\0')
		json_add_str(b, "systemPrompt", ag->prompt);
	if (*ag->tools != '\0')
		json_add_raw(b, "tools", ag->tools, strlen(ag->tools));
	if (*ag->permission != '\0')
		json_add_raw(
		    b, "permission", ag->permission, strlen(ag->permission));
	if (*ag->parent != '\0')
		json_add_str(b, "parent", ag->parent);
	add_lineage(b, ag->lineage);
	if (*ag->point != '\0')
		json_add_str(b, "checkpoint", ag->point);
	json_add_int(b, "messages", ag->messages);
	json_add_int(b, "windows", ag->windows);
	json_add_int(b, "waiting", ag->waiting);
	json_add_str(b, "last", ag->last);
	buf_putc(b, '}');
}

/* The member metadata as JSON text; 0 if it is absent. */
static int
body_metadata(const struct api_call *c, const char **out_r, struct err *err)
{
	const struct json *j = json_get(c->body, "metadata");
	struct buf b;

	if (j == NULL || json_is(j, JSON_NULL))
		return 0;
	if (!json_is(j, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "metadata is not an object");
	buf_init(&b, c->arena);
	json_print(&b, j);
	if (b.len > METADATA_MAX_BYTES)
		return err_set(err, ERR_INVALID,
		    "metadata is longer than %d bytes", METADATA_MAX_BYTES);
	*out_r = b.data;
	return 1;
}

static int
body_name(const struct api_call *c, const char **out_r, struct err *err)
{
	int rc = api_body_str(c, "name", NAME_MAX_BYTES, out_r, err);

	if (rc > 0 && **out_r == '\0')
		return err_set(err, ERR_INVALID, "name is empty");
	return rc;
}

/* Providers refuse a prompt of blanks, with every turn. */
static int
body_prompt(const struct api_call *c, const char **out_r, struct err *err)
{
	int rc = api_body_str(c, "systemPrompt", PROMPT_MAX_BYTES, out_r, err);

	if (rc > 0 && (*out_r)[strspn(*out_r, " \t\r\n\v\f")] == '\0')
		*out_r = "";
	return rc;
}

/* The tools and the permission as they are kept: checked, as JSON. */
static int
body_tools(const struct api_call *c, const struct agent_template *t,
    struct store_agent *ag, struct err *err)
{
	const struct json *tools = json_get(c->body, "tools");
	const struct json *permission = json_get(c->body, "permission");
	struct buf b;

	if (tools != NULL) {
		if (toolset_check(t, tools, err) < 0)
			return -1;
		buf_init(&b, c->arena);
		json_print(&b, tools);
		ag->tools = b.data;
	}
	if (permission != NULL) {
		if (permit_parse(c->arena, permission, err) == NULL)
			return -1;
		buf_init(&b, c->arena);
		json_print(&b, permission);
		if (b.len > PERMISSION_MAX_BYTES)
			return err_set(err, ERR_INVALID,
			    "permission is longer than %d bytes",
			    PERMISSION_MAX_BYTES);
		ag->permission = b.data;
	}
	return 0;
}

/* The template that is named, or NULL in *t_r. */
static int
body_template(const struct api_call *c, const struct agent_template **t_r,
    struct err *err)
{
	const char *name = "";

	*t_r = NULL;
	if (api_body_str(c, "template", NAME_MAX_BYTES, &name, err) < 0)
		return -1;
	if (*name == '\0')
		return 0;
	*t_r = templates_find(c->app->templates, name);
	if (*t_r == NULL)
		return err_set(err, ERR_INVALID,
		    "there is no template of that name; GET /api/templates "
		    "lists them");
	return 0;
}

/* What the request says, and the template where it says nothing. */
static int
body_agent(const struct api_call *c, struct store_agent *ag, struct err *err)
{
	static const struct agent_template none = { .prompt = "",
		.model = "",
		.tools = "",
		.permission = "",
		.name = "" };
	const struct agent_template *t;
	int rc = body_name(c, &ag->name, err);

	if (rc == 0)
		return err_set(err, ERR_INVALID, "name is missing");
	if (rc < 0 || body_template(c, &t, err) < 0 ||
	    body_tools(c, t, ag, err) < 0 ||
	    body_prompt(c, &ag->prompt, err) < 0 ||
	    api_body_str(c, "model", MODEL_MAX_BYTES, &ag->model, err) < 0 ||
	    body_metadata(c, &ag->metadata, err) < 0)
		return -1;
	if (t == NULL)
		t = &none;
	ag->template = t->name;
	if (*ag->prompt == '\0')
		ag->prompt = t->prompt;
	if (template_allows_model(
		*t->name == '\0' ? NULL : t, c->app->conf, ag->model, err) < 0)
		return -1;
	if (*ag->model == '\0')
		ag->model = t->model;
	if (*ag->tools == '\0')
		ag->tools = t->tools;
	if (*ag->permission == '\0')
		ag->permission = t->permission;
	return 0;
}

int
agents_create(void *call, struct err *err)
{
	struct api_call *c = call;
	struct store_agent ag = { .tenant = c->tenant,
		.name = "",
		.template = "",
		.prompt = "",
		.model = "",
		.metadata = "",
		.tools = "",
		.permission = "" };
	const char *key;

	if (body_agent(c, &ag, err) < 0 || api_idem_key(c, &key, err) < 0)
		return -1;
	if (store_agent_create(
		c->app->store, c->arena, c->user, &ag, key, err) < 0)
		return -1;
	http_header_add(c->rs, "Location", "/api/agents/%s", ag.id);
	c->made = arena_strdup(c->arena, ag.id);
	respond_agent(c, 201, &ag);
	return 0;
}

int
agents_list(void *call, struct err *err)
{
	struct api_call *c = call;
	const char *cursor = http_query(c->rq, "cursor"), *next;
	struct buf *b = &c->rs->body;
	struct store_agent *list;
	int64_t limit = LIST_LIMIT;
	size_t count;

	if (api_query_int(c, "limit", 1, LIST_LIMIT_MAX, &limit, err) < 0 ||
	    store_agent_list(c->app->store, c->arena, c->user,
		cursor == NULL ? "" : cursor, (int)limit, &list, &count, &next,
		err) < 0)
		return -1;
	http_json(c->rs, 200);
	buf_putc(b, '{');
	json_open(b, "agents", '[');
	for (size_t i = 0; i < count; i++) {
		json_open(b, NULL, '{');
		add_agent(b, &list[i]);
		json_close(b, '}');
	}
	json_close(b, ']');
	if (*next != '\0') {
		json_add_str(b, "next", next);
		http_header_add(c->rs, "Link",
		    "</api/agents?limit=%" PRId64 "&cursor=%s>; rel=\"next\"",
		    limit, next);
	}
	buf_putc(b, '}');
	return 0;
}

/* ?storage: what it takes, in Redis and on the sandbox's disk. 0 or -1. */
static int
add_storage(struct api_call *c, const char *agent, struct err *err)
{
	struct sandbox_call call = { .op = "ws.usage" };
	struct buf *b = &c->rs->body;
	struct store_size size;
	int64_t bytes = 0;

	if (store_agent_size(
		c->app->store, c->arena, c->user, agent, &size, err) < 0)
		return -1;
	if (c->app->sandbox != NULL && api_sandbox(c, agent, &call, err) < 0 &&
	    call.err.code != ERR_NOT_FOUND) /* it has no files yet */
		return -1;
	json_open(b, "storage", '{');
	json_add_int(b, "events", size.events);
	json_add_int(b, "messages", size.messages);
	json_add_int(b, "toolCalls", size.calls);
	json_add_int(b, "bytes", size.bytes);
	if (size.files > 0)
		json_add_int(b, "savedFiles", size.files);
	if (c->app->sandbox != NULL) {
		json_get_int(call.answer, "bytes", &bytes);
		json_add_int(b, "workspaceBytes", bytes);
	}
	json_close(b, '}');
	return 0;
}

int
agents_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct store_agent ag;

	if (store_agent_get(c->app->store, c->arena, c->user, c->rq->param[0],
		&ag, err) < 0)
		return -1;
	respond_agent(c, 200, &ag);
	buf_truncate(&c->rs->body, c->rs->body.len - 1); /* its brace */
	if (http_query(c->rq, "storage") != NULL &&
	    add_storage(c, ag.id, err) < 0)
		return -1;
	if (http_query(c->rq, "budgets") != NULL &&
	    budgets_of_agent(c, &c->rs->body, &ag, err) < 0)
		return -1;
	json_close(&c->rs->body, '}');
	return 0;
}

/* The version that If-Match admits, of those that it lists; -1 for any. */
static int
if_match(const struct api_call *c, int64_t *version_r, struct err *err)
{
	const char *h = http_header(c->rq, "HTTP_IF_MATCH");
	struct store_agent ag;

	*version_r = -1;
	if (h == NULL || strcmp(h, "*") == 0)
		return 0;
	if (store_agent_get(c->app->store, c->arena, c->user, c->rq->param[0],
		&ag, err) < 0)
		return -1;
	if (!http_etag_listed(
		h, arena_printf(c->arena, "%" PRId64, ag.version)))
		return err_set(err, ERR_PRECONDITION,
		    "the agent's ETag is not in If-Match");
	*version_r = ag.version;
	return 0;
}

/* The agent's template says which models it may have. */
static int
body_model(
    const struct api_call *c, struct store_change *change, struct err *err)
{
	struct store_agent ag;
	int rc = api_body_str(c, "model", MODEL_MAX_BYTES, &change->model, err);

	if (rc <= 0)
		return rc;
	if (store_agent_get(c->app->store, c->arena, c->user, c->rq->param[0],
		&ag, err) < 0)
		return -1;
	return template_allows_model(
	    templates_find(c->app->templates, ag.template), c->app->conf,
	    change->model, err);
}

int
agents_patch(void *call, struct err *err)
{
	struct api_call *c = call;
	struct store_change change = { 0 };
	struct store_agent ag;
	int64_t version;

	if (body_name(c, &change.name, err) < 0 ||
	    body_metadata(c, &change.metadata, err) < 0 ||
	    body_model(c, &change, err) < 0 || if_match(c, &version, err) < 0)
		return -1;
	if (change.name == NULL && change.metadata == NULL &&
	    change.model == NULL)
		return err_set(err, ERR_INVALID,
		    "nothing to change: give name, model or metadata");
	if (store_agent_update(c->app->store, c->arena, c->user,
		c->rq->param[0], version, &change, err) < 0 ||
	    store_agent_get(c->app->store, c->arena, c->user, c->rq->param[0],
		&ag, err) < 0)
		return -1;
	respond_agent(c, 200, &ag);
	return 0;
}

static int delete_all(
    struct api_call *c, const char *id, int depth, struct err *err);

/* All that an agent has made, and theirs. */
static int
delete_children(struct api_call *c, const char *id, int depth, struct err *err)
{
	struct store *st = c->app->store;
	const char **children;
	size_t n;

	if (store_children(st, c->arena, id, &children, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (delete_all(c, children[i], depth + 1, err) < 0 &&
		    err->code != ERR_FORBIDDEN) /* it is gone */
			return -1;
		if (store_child_gone(st, c->arena, id, children[i], err) < 0)
			return -1;
	}
	return 0;
}

/*
 * The agent goes last: whatever stops this, what is left is found by it, and
 * to delete it again goes on. One that is at work may make another meanwhile.
 */
static int
delete_all(struct api_call *c, const char *id, int depth, struct err *err)
{
	struct store *st = c->app->store;
	int rc = 0;

	for (int i = 0; rc == 0 && i < DELETE_TRIES; i++) {
		if (depth == DEPTH_MAX) /* deeper there is nothing */
			return store_agent_delete(
			    st, c->arena, c->user, id, err);
		if (api_files_delete(c, id, err) < 0)
			return -1;
		crash_point("delete-files");
		if (delete_children(c, id, depth, err) < 0)
			return -1;
		crash_point("delete-children");
		rc = store_agent_delete_last(st, c->arena, c->user, id, err);
	}
	if (rc == 0)
		return err_set(err, ERR_CONFLICT,
		    "it makes sub-agents all the time: interrupt it first");
	return rc < 0 ? -1 : 0;
}

int
api_agent_delete(struct api_call *c, const char *id, struct err *err)
{
	const char *files;

	if (store_agent_workspace(
		c->app->store, c->arena, c->user, id, &files, err) < 0)
		return -1;
	return delete_all(c, id, 0, err);
}

int
agents_delete(void *call, struct err *err)
{
	struct api_call *c = call;

	if (api_agent_delete(c, c->rq->param[0], err) < 0)
		return -1;
	c->rs->status = 204;
	return 0;
}
