/* SPDX-License-Identifier: MIT */
/* The table of built-in tools. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "tool/schema.h"
#include "tool/todo.h"
#include "tool/tool.h"

static struct tool tools[] = {
	{ .name = "todo_read",
	    .description = "Reads the todo list of this conversation.",
	    .schema = "{\"type\":\"object\",\"properties\":{},"
		      "\"additionalProperties\":false}",
	    .effect = TOOL_READS,
	    .kind = &todo_read_kind },
	{ .name = "todo_write",
	    .description =
		"Replaces the todo list of this conversation. Use it to plan "
		"work of several steps and to show the user how far it is. At "
		"most one todo is in_progress; set one to completed as soon "
		"as it is done.",
	    .schema =
		"{\"type\":\"object\",\"properties\":{\"todos\":{\"type\":"
		"\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
		"\"id\":{\"type\":\"string\",\"minLength\":1},"
		"\"title\":{\"type\":\"string\",\"minLength\":1},"
		"\"status\":{\"enum\":[\"pending\",\"in_progress\","
		"\"completed\"]},"
		"\"assignee\":{\"type\":\"string\"},"
		"\"notes\":{\"type\":\"string\"}},"
		"\"required\":[\"id\",\"title\",\"status\"],"
		"\"additionalProperties\":false}}},"
		"\"required\":[\"todos\"],\"additionalProperties\":false}",
	    .effect = TOOL_READS, /* nothing but the conversation */
	    .kind = &todo_write_kind },
	{ .name = "task_run",
	    .description =
		"Has a sub-agent carry out a task and gives back what it "
		"reports. It knows nothing of this conversation: put "
		"everything it needs into the prompt. Several calls at a time "
		"work side by side.",
	    .schema =
		"{\"type\":\"object\",\"properties\":{"
		"\"description\":{\"type\":\"string\",\"minLength\":1,"
		"\"maxLength\":200,\"description\":\"A name for the task\"},"
		"\"prompt\":{\"type\":\"string\",\"minLength\":1},"
		"\"template\":{\"type\":\"string\",\"description\":"
		"\"Which kind of sub-agent, if there are several\"}},"
		"\"required\":[\"description\",\"prompt\"],"
		"\"additionalProperties\":false}",
	    .effect = TOOL_UNKNOWN,
	    .is_task = 1 },
};

static struct arena *docs;

void
tools_init(void)
{
	docs = arena_open(4096);
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		tools[i].schema_doc = json_parse(
		    docs, tools[i].schema, strlen(tools[i].schema), 32, NULL);
		if (tools[i].schema_doc == NULL ||
		    schema_supported(tools[i].schema_doc, NULL) < 0)
			abort();
	}
}

void
tools_fini(void)
{
	arena_close(&docs);
}

const struct tool *
tool_at(size_t i)
{
	return i < sizeof(tools) / sizeof(tools[0]) ? &tools[i] : NULL;
}

const struct tool *
tool_find(const char *name)
{
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		if (strcmp(tools[i].name, name) == 0)
			return &tools[i];
	return NULL;
}
