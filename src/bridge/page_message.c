/* SPDX-License-Identifier: MIT */
/*
 * What pages and their callers say to each other, read and written.
 *
 * Redis has what a page can do in the form of B1, whichever the page speaks,
 * so what B2 says is turned into that, and back for an agent that speaks B2.
 * A B2 page knows no request of a component: it answers with the component's
 * id, or with an error that says nothing.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/words.h"
#include "bridge/page_message.h"
#include "session/block.h"

#define DEPTH 48 /* as the pool takes of it */

static const struct {
	const char *type;
	enum page_says says;
} types[] = {
	{ "capability", PAGE_CAPABILITY },
	{ "register_capabilities", PAGE_REGISTER },
	{ "update_capabilities", PAGE_UPDATE },
	{ "response", PAGE_RESPONSE },
	{ "function_result", PAGE_FUNCTION_RESULT },
	{ "component_action_result", PAGE_COMPONENT_RESULT },
	{ "component_update_result", PAGE_COMPONENT_RESULT },
	{ "error", PAGE_ERROR },
	{ "event", PAGE_EVENT },
	{ "session", PAGE_SESSION },
	{ "query_capabilities", PAGE_QUERY },
	{ "call_function", PAGE_CALL },
	{ "call_component_action", PAGE_CALL },
	{ "update_component", PAGE_CALL },
};

int
page_message_read(struct arena *a, const char *text, size_t len,
    struct page_message *out, struct err *err)
{
	const struct json *j = json_parse(a, text, len, DEPTH, err);

	if (j == NULL)
		return -1;
	*out = (struct page_message){
		.says = PAGE_OTHER, .type = json_get_str(j, "type"), .doc = j
	};
	if (out->type == NULL)
		return err_set(err, ERR_REQUEST, "an object without a type");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].type, out->type) == 0)
			out->says = types[i].says;
	return 0;
}

static int
is_text(const struct json *j, const char *name, const char *text)
{
	const char *value = json_get_str(j, name);

	return value != NULL && strcmp(value, text) == 0;
}

/* ---- what a page can do ---- */

/* The kinds of things, and what B2 has for each. */
static const struct kind {
	const char *type, *key, *list;
} kinds[] = {
	{ "function", "name", "functions" },
	{ "component", "id", "components" },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* The thing of a kind that has this key; NULL. Of several the last. */
static const struct json *
find(const struct json *list, const struct kind *k, const char *key,
    int is_typed)
{
	const struct json *found = NULL;

	for (const struct json *j = json_first(list); key != NULL && j != NULL;
	     j = json_next(j))
		if ((!is_typed || is_text(j, "type", k->type)) &&
		    is_text(j, k->key, key))
			found = j;
	return found;
}

static const struct json *
list_of(const struct json *doc, const char *name)
{
	const struct json *list = json_get(doc, name);

	return json_is(list, JSON_ARRAY) ? list : NULL;
}

/* The names of a component's actions, and what was said of them. */
static void
add_actions(struct buf *out, const struct json *actions)
{
	json_open(out, "actions", '[');
	for (const struct json *j = json_first(actions); j != NULL;
	     j = json_next(j))
		if (json_is(actions, JSON_OBJECT))
			json_add_str(out, NULL, json_name(j));
		else
			json_add_json(out, NULL, j);
	json_close(out, ']');
	if (json_is(actions, JSON_OBJECT))
		json_add_json(out, "actionDetails", actions);
}

/* A thing of B2 in the form of B1. */
static void
add_b2(struct buf *out, const struct kind *k, const struct json *thing)
{
	int component = strcmp(k->type, "component") == 0;
	static const char *const ours[] = { "type", "actions", "actionDetails",
		NULL };

	json_open(out, NULL, '{');
	json_add_str(out, "type", k->type);
	for (const struct json *j = json_first(thing); j != NULL;
	     j = json_next(j))
		if (strcmp(json_name(j), "type") != 0 &&
		    (!component || !words_list_has(ours, json_name(j))))
			json_add_json(out, json_name(j), j);
	if (component)
		add_actions(out, json_get(thing, "actions"));
	json_close(out, '}');
}

/* What a message of B2 says: those that were said before stay in their places.
 * How many there are. */
static size_t
add_all_b2(struct buf *out, const struct json *doc, const struct json *said)
{
	size_t n = 0;

	for (const struct json *j = json_first(said); j != NULL;
	     j = json_next(j)) {
		const struct json *now = NULL;

		for (size_t i = 0; i < KINDS && now == NULL; i++) {
			if (!is_text(j, "type", kinds[i].type))
				continue;
			now = find(list_of(doc, kinds[i].list), &kinds[i],
			    json_get_str(j, kinds[i].key), 0);
			if (now != NULL)
				add_b2(out, &kinds[i], now);
		}
		if (now == NULL)
			json_add_json(out, NULL, j);
		n++;
	}
	for (size_t i = 0; i < KINDS; i++) {
		const struct json *list = list_of(doc, kinds[i].list);

		for (const struct json *j = json_first(list); j != NULL;
		     j = json_next(j)) {
			const char *key = json_get_str(j, kinds[i].key);

			if (find(list, &kinds[i], key, 0) != j ||
			    find(said, &kinds[i], key, 1) != NULL)
				continue; /* NULL: it has no name */
			add_b2(out, &kinds[i], j);
			n++;
		}
	}
	return n;
}

static size_t
add_all_b1(struct buf *out, const struct json *list)
{
	size_t n = 0;

	for (const struct json *j = json_first(list); j != NULL;
	     j = json_next(j)) {
		if (!json_is(j, JSON_OBJECT))
			continue;
		json_add_json(out, NULL, j);
		n++;
	}
	return n;
}

int
page_capabilities(struct buf *out, const struct page_message *m,
    const struct json *said, const struct page_limits *limits, struct err *err)
{
	size_t before = out->len, n;
	const struct json *b1 = list_of(m->doc, "capabilities");

	/* How long a search takes is bounded before it begins. */
	n = json_count(m->says == PAGE_CAPABILITY ? b1 : NULL);
	for (size_t i = 0; m->says != PAGE_CAPABILITY && i < KINDS; i++)
		n += json_count(list_of(m->doc, kinds[i].list));
	if (n > limits->count)
		return err_set(err, ERR_LIMIT, "more than %zu capabilities",
		    limits->count);
	json_open(out, NULL, '[');
	if (m->says == PAGE_CAPABILITY)
		n = add_all_b1(out, b1);
	else
		n = add_all_b2(
		    out, m->doc, m->says == PAGE_UPDATE ? said : NULL);
	json_close(out, ']');
	if (n > limits->count)
		return err_set(err, ERR_LIMIT, "more than %zu capabilities",
		    limits->count);
	if (out->len - before > limits->bytes)
		return err_set(err, ERR_LIMIT,
		    "capabilities of more than %zu bytes", limits->bytes);
	return 0;
}

/* Things of a kind, as B2 has them. */
static void
add_things(struct buf *out, const struct json *list, const struct kind *k,
    const char *client)
{
	for (const struct json *j = json_first(list); j != NULL;
	     j = json_next(j)) {
		const struct json *details = json_get(j, "actionDetails");

		if (!is_text(j, "type", k->type))
			continue;
		json_open(out, NULL, '{');
		for (const struct json *m = json_first(j); m != NULL;
		     m = json_next(m)) {
			const char *name = json_name(m);

			if (details != NULL && strcmp(name, "actions") == 0)
				json_add_json(out, name, details);
			else if (strcmp(name, "type") != 0 && m != details &&
				 strcmp(name, "clientId") != 0)
				json_add_json(out, name, m);
		}
		json_add_str(out, "clientId", client);
		json_close(out, '}');
	}
}

void
page_functions(struct buf *out, const struct json *list, const char *client)
{
	add_things(out, list, &kinds[0], client);
}

void
page_components(struct buf *out, const struct json *list, const char *client)
{
	add_things(out, list, &kinds[1], client);
}

/* ---- commands ---- */

void
page_command_b1(
    struct buf *out, const char *id, int64_t now_ms, const struct json *command)
{
	static const char *const ours[] = { "type", "requestId", NULL };

	json_open(out, NULL, '{');
	json_add_str(out, "type", "command");
	json_add_str(out, "requestId", id);
	for (const struct json *j = json_first(command); j != NULL;
	     j = json_next(j))
		if (!words_list_has(ours, json_name(j)))
			json_add_json(out, json_name(j), j);
	if (json_get(command, "id") == NULL) {
		json_add_str(out, "id", id);
		if (json_get(command, "timestamp") == NULL)
			json_add_int(out, "timestamp", now_ms);
	}
	json_close(out, '}');
}

enum form { CALL, ACTION, UPDATE };

static const char *const form_types[] = {
	[CALL] = "call_function",
	[ACTION] = "call_component_action",
	[UPDATE] = "update_component",
};

/* What a command is for a page of B2: by its type, where that is one of
 * theirs; else by what it is for. */
static enum form
form_of(const struct json *command, const struct json *capabilities)
{
	const char *type = json_get_str(command, "type");
	const char *target = json_get_str(command, "target");

	for (int i = CALL; type != NULL && i <= UPDATE; i++)
		if (strcmp(form_types[i], type) == 0)
			return (enum form)i;
	if (find(capabilities, &kinds[0], target, 1) != NULL ||
	    is_text(command, "command", "call"))
		return CALL;
	if (is_text(command, "command", "update") ||
	    (is_text(command, "action", "update") &&
		json_is(json_get(command, "properties"), JSON_OBJECT)))
		return UPDATE;
	if (find(capabilities, &kinds[1], target, 1) != NULL ||
	    is_text(command, "command", "action"))
		return ACTION;
	return CALL;
}

/* The name of the function, or the component's id; NULL. A function's id is
 * that of the request. */
static const char *
aim_of(const struct json *command, enum form form)
{
	static const char *const call[] = { "target", "name" };
	static const char *const component[] = { "target", "componentId",
		"id" };
	const char *const *names = form == CALL ? call : component;
	size_t n = form == CALL ? 2 : 3;
	const char *aim = NULL;

	for (size_t i = 0; i < n && aim == NULL; i++)
		aim = json_get_str(command, names[i]);
	return aim;
}

/* A member that is to be an object: where it is none, an empty one. */
static void
add_object(struct buf *out, const char *name, const struct json *j)
{
	if (json_is(j, JSON_OBJECT))
		json_add_json(out, name, j);
	else
		json_add_raw(out, name, "{}", 2);
}

int
page_command_b2(struct page_command *out, const char *id, int64_t now_ms,
    const struct json *command, const struct json *capabilities,
    struct err *err)
{
	enum form form = form_of(command, capabilities);
	const char *aim = aim_of(command, form);
	const struct json *parameters = json_get(command, "parameters");
	const struct json *properties = json_get(command, "properties");
	const char *action = json_get_str(command, "action");
	const char *agent = json_get_str(command, "agentId");
	struct buf *b = out->text;

	if (aim == NULL)
		return err_set(err, ERR_REQUEST, "the command has no target");
	out->component = form == CALL ? NULL : aim;
	out->update = form == UPDATE;
	json_open(b, NULL, '{');
	json_add_str(b, "type", form_types[form]);
	json_add_str(b, "id", form == CALL ? id : aim);
	block_add_time(b, "timestamp", now_ms);
	if (form == CALL)
		json_add_str(b, "name", aim);
	if (form == ACTION)
		json_add_str(b, "action", action == NULL ? "" : action);
	if (form == UPDATE)
		add_object(b, "properties",
		    properties == NULL ? parameters : properties);
	else
		add_object(b, "parameters", parameters);
	if (agent != NULL)
		json_add_str(b, "agentId", agent);
	json_close(b, '}');
	return 0;
}

void
page_command_of_call(
    struct buf *out, const struct page_message *m, const char *agent)
{
	static const char *const kept[] = { "parameters", "properties", NULL };
	int call = strcmp(m->type, form_types[CALL]) == 0;
	int update = strcmp(m->type, form_types[UPDATE]) == 0;
	const char *action = json_get_str(m->doc, "action");
	const char *aim = json_get_str(m->doc, call ? "name" : "componentId");

	if (aim == NULL)
		aim = aim_of(m->doc, call ? CALL : ACTION);
	json_open(out, NULL, '{');
	json_add_str(out, "type", m->type);
	if (aim != NULL)
		json_add_str(out, "target", aim);
	json_add_str(out, "command",
	    call     ? "call"
	    : update ? "update"
		     : "action");
	if (call || update || action != NULL)
		json_add_str(out, "action",
		    call     ? "call"
		    : update ? "update"
			     : action);
	for (const struct json *j = json_first(m->doc); j != NULL;
	     j = json_next(j))
		if (words_list_has(kept, json_name(j)))
			json_add_json(out, json_name(j), j);
	json_add_str(out, "agentId", agent);
	json_close(out, '}');
}

/* ---- answers ---- */

void
page_answer_error(struct buf *out, const char *code, const char *message)
{
	json_add_str(out, "status", "error");
	json_open(out, "error", '{');
	if (code != NULL)
		json_add_str(out, "code", code);
	if (message != NULL)
		json_add_str(out, "message", message);
	json_close(out, '}');
}

/* A page's own error; codes that are the gateway's are not for it. */
static void
add_error(struct buf *out, const struct json *error)
{
	static const char *const ours[] = { "CLIENT_GONE", "NOT_FOUND",
		"SEND_FAILED", "TIMEOUT", NULL };
	const char *code = json_get_str(error, "code");
	const char *message = json_get_str(error, "message");

	if (message == NULL)
		message = json_str(error);
	if (code != NULL && words_list_has(ours, code))
		code = NULL;
	page_answer_error(out, code, message);
}

int
page_answer(struct buf *out, const struct page_message *m)
{
	int b1 = m->says == PAGE_RESPONSE;
	const struct json *result = json_get(m->doc, b1 ? "result" : "data");

	if (m->says == PAGE_ERROR) {
		add_error(out, m->doc);
		return 0;
	}
	if (b1 ? !is_text(m->doc, "status", "success")
	       : !json_get_true(m->doc, "success")) {
		add_error(out, json_get(m->doc, "error"));
		return 0;
	}
	json_add_str(out, "status", "success");
	if (result != NULL)
		json_add_json(out, "result", result);
	return 1;
}
