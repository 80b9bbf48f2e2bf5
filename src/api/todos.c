/* SPDX-License-Identifier: MIT */
/* /api/agents/ID/todos: the todo list, as the agent's tools have it. */
#include "config.h"

#include <string.h>

#include "api/api_priv.h"
#include "base/clk.h"
#include "store/records.h"
#include "tool/todo.h"

static int
respond(struct api_call *c, const char *list)
{
	static const char none[] = "{\"todos\":[],\"version\":0}";

	http_json(c->rs, 200);
	buf_puts(&c->rs->body, *list == '\0' ? none : list);
	return 0;
}

int
todos_get(void *call, struct err *err)
{
	struct api_call *c = call;
	const char *list;

	if (store_todos(c->app->store, c->arena, c->user, c->rq->param[0], "",
		"", &list, err) < 0)
		return -1;
	return respond(c, list);
}

int
todos_put(void *call, struct err *err)
{
	struct api_call *c = call;
	const char *agent = c->rq->param[0], *current, *list;
	struct buf made;

	if (store_todos(c->app->store, c->arena, c->user, agent, "", "",
		&current, err) < 0)
		return -1;
	buf_init(&made, c->arena);
	if (todo_make(current, json_get(c->body, "todos"), clk_shared_ms(),
		&made, err) < 0 ||
	    store_todos(c->app->store, c->arena, c->user, agent, current,
		buf_str(&made), &list, err) < 0)
		return -1;
	return respond(c, list);
}
