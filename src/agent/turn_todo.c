/* SPDX-License-Identifier: MIT */
/*
 * The todo list in a turn: what a call changes of it, and a reminder when the
 * model has not touched it for a while (spec/kode.md, sections 1.11 and 1.12).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "agent/reminder.h"
#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/json.h"
#include "conf/conf.h"

#define REMIND_ITEMS 10
#define LIST_DEPTH 8

static void
keep_list(struct turn *t, const char *list)
{
	free(t->todos);
	t->todos = strdup(list);
	if (t->todos == NULL)
		abort();
}

static const struct json *
list_of(struct turn *t, const char *list)
{
	return json_get(
	    json_parse(t->round, list, strlen(list), LIST_DEPTH, NULL),
	    "todos");
}

void
turn_commit_todos(struct turn *t, struct turn_call *c)
{
	struct buf b;

	if (c->run.new_todos == NULL)
		return;
	buf_init(&b, t->round);
	buf_printf(&b, ",\"previous\":%s,\"current\":%s",
	    *t->todos == '\0' ? "null" : t->todos, c->run.new_todos);
	turn_commit_event(t, EVENT_TODO_CHANGED, b.data);
	journal_op_set(&t->commit, "todos", c->run.new_todos);
	t->todo_emptied = json_count(list_of(t, c->run.new_todos)) == 0 &&
			  *t->todos != '\0' &&
			  json_count(list_of(t, t->todos)) > 0;
	keep_list(t, c->run.new_todos);
	c->run.new_todos = NULL;
	t->todo_steps = 0;
}

/* Lines for the open items; how many there are. */
static int
list_open(struct buf *b, const struct json *items)
{
	int n = 0;

	for (const struct json *i = json_first(items); i != NULL;
	     i = json_next(i)) {
		if (strcmp(json_get_str(i, "status"), "completed") == 0)
			continue;
		if (++n <= REMIND_ITEMS)
			buf_printf(b, "- [%s] %s: %s\n",
			    json_get_str(i, "status"), json_get_str(i, "id"),
			    json_get_str(i, "title"));
	}
	if (n > REMIND_ITEMS)
		buf_printf(b, "and %d more\n", n - REMIND_ITEMS);
	return n;
}

static void
commit_reminder(struct turn *t, const struct buf *text)
{
	struct buf b;

	buf_init(&b, t->round);
	reminder_content(&b, text->data);
	turn_commit_hidden(t, &b);
}

static void
remind(struct turn *t, const struct buf *text, const char *reason)
{
	struct buf event;

	commit_reminder(t, text);
	buf_init(&event, t->round);
	buf_printf(
	    &event, ",\"reason\":\"%s\",\"current\":%s", reason, t->todos);
	turn_commit_event(t, EVENT_TODO_REMINDER, event.data);
	t->todo_steps = 0;
}

void
turn_commit_reminder(struct turn *t)
{
	int64_t every = t->runner->parts.conf->tool_todo_reminder;
	struct buf text;

	if (every == 0 || *t->todos == '\0')
		return;
	buf_init(&text, t->round);
	if (t->todo_emptied) {
		t->todo_emptied = 0;
		buf_puts(&text, "The todo list is empty now. If there is more "
				"to do, plan it with todo_write.\n");
		remind(t, &text, "empty");
		return;
	}
	if (++t->todo_steps < every)
		return;
	t->todo_steps = 0;
	buf_puts(&text, "These todos are open:\n");
	if (list_open(&text, list_of(t, t->todos)) == 0)
		return;
	buf_puts(&text, "Go on with them, or bring the list up to date with "
			"todo_write.\n");
	remind(t, &text, "interval");
}
