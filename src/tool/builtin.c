/* SPDX-License-Identifier: MIT */
/* The table of built-in tools. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "tool/bash.h"
#include "tool/fs.h"
#include "tool/schema.h"
#include "tool/skill_tool.h"
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
	{ .name = SKILLS_TOOL,
	    .description =
		"Skills: texts that say how some kind of work is done here. "
		"list names them; load gives the text of one. If there is a "
		"workspace, load also puts the skill's files there, in "
		".skills/NAME: read them with fs_read, run scripts with "
		"bash_run and their interpreter. A copy that was changed is "
		"restored.",
	    .schema =
		"{\"type\":\"object\",\"properties\":{"
		"\"action\":{\"enum\":[\"list\",\"load\"]},"
		"\"name\":{\"type\":\"string\",\"minLength\":1,"
		"\"description\":\"Of the skill to load\"}},"
		"\"required\":[\"action\"],\"additionalProperties\":false}",
	    .effect = TOOL_READS, /* writes copies, always the same ones */
	    .kind = &skills_kind,
	    .needs_skills = 1 },
	{ .name = "fs_read",
	    .description = "Reads lines of a text file of the workspace. Long "
			   "files come in parts: go on with offset. Read a "
			   "file before you change it.",
	    .schema = "{\"type\":\"object\",\"properties\":{\"path\":"
		      "{\"type\":\"string\",\"minLength\":1,\"descrip"
		      "tion\":\"Below /workspace\"},\"offset\":{\"typ"
		      "e\":\"integer\",\"minimum\":1,\"description\":"
		      "\"First line, from 1\"},\"limit\":{\"type\":\""
		      "integer\",\"minimum\":1,\"description\":\"How "
		      "many lines\"}},\"required\":[\"path\"],\"addit"
		      "ionalProperties\":false}",
	    .effect = TOOL_READS,
	    .kind = &fs_kind,
	    .needs_sandbox = 1 },
	{ .name = "fs_write",
	    .description = "Writes a file of the workspace, whole; directories "
			   "are made as needed. A file that somebody else "
			   "changed since you read it is not overwritten: read "
			   "it again.",
	    .schema = "{\"type\":\"object\",\"properties\":{\"path\":"
		      "{\"type\":\"string\",\"minLength\":1,\"descrip"
		      "tion\":\"Below /workspace\"},\"content\":{\"ty"
		      "pe\":\"string\"}},\"required\":[\"path\",\"con"
		      "tent\"],\"additionalProperties\":false}",
	    .effect = TOOL_WRITES,
	    .kind = &fs_kind,
	    .needs_sandbox = 1 },
	{ .name = "fs_edit",
	    .description = "Replaces a text in a file, literally. It must "
			   "occur once, or replace_all be true; put enough "
			   "around it to make it unique.",
	    .schema = "{\"type\":\"object\",\"properties\":{\"path\":"
		      "{\"type\":\"string\",\"minLength\":1,\"descrip"
		      "tion\":\"Below /workspace\"},\"old_string\":{"
		      "\"type\":\"string\",\"minLength\":1},\"new_str"
		      "ing\":{\"type\":\"string\"},\"replace_all\":{"
		      "\"type\":\"boolean\"}},\"required\":[\"path\","
		      "\"old_string\",\"new_string\"],\"additionalPro"
		      "perties\":false}",
	    .effect = TOOL_WRITES,
	    .kind = &fs_kind,
	    .needs_sandbox = 1 },
	{ .name = "fs_multi_edit",
	    .description = "Several edits of one or more files, one after the "
			   "other, as fs_edit makes them. One that fails does "
			   "not stop the others.",
	    .schema = "{\"type\":\"object\",\"properties\":{\"edits\""
		      ":{\"type\":\"array\",\"minItems\":1,\"items\":"
		      "{\"type\":\"object\",\"properties\":{\"path\":"
		      "{\"type\":\"string\",\"minLength\":1},\"find\""
		      ":{\"type\":\"string\",\"minLength\":1},\"repla"
		      "ce\":{\"type\":\"string\"},\"replace_all\":{\""
		      "type\":\"boolean\"}},\"required\":[\"path\",\""
		      "find\",\"replace\"],\"additionalProperties\":f"
		      "alse}}},\"required\":[\"edits\"],\"additionalP"
		      "roperties\":false}",
	    .effect = TOOL_WRITES,
	    .kind = &fs_kind,
	    .needs_sandbox = 1 },
	{ .name = "fs_glob",
	    .description = "Finds files by a pattern of their paths: *, ?, "
			   "[a-z], {a,b}, and ** across directories. Hidden "
			   "ones only with dot; with gitignore, not those that "
			   ".gitignore names.",
	    .schema = "{\"type\":\"object\",\"properties\":{\"pattern"
		      "\":{\"type\":\"string\",\"minLength\":1},\"cwd"
		      "\":{\"type\":\"string\"},\"dot\":{\"type\":\"b"
		      "oolean\"},\"gitignore\":{\"type\":\"boolean\"}"
		      ",\"limit\":{\"type\":\"integer\",\"minimum\":1"
		      "}},\"required\":[\"pattern\"],\"additionalProp"
		      "erties\":false}",
	    .effect = TOOL_READS,
	    .kind = &fs_kind,
	    .needs_sandbox = 1 },
	{ .name = "fs_grep",
	    .description = "Finds text in files: path is a file, a directory "
			   "(all below it) or a pattern of paths. The pattern "
			   "is literal, or with regex a Perl regular "
			   "expression; the first match of each line is given.",
	    .schema = "{\"type\":\"object\",\"properties\":{\"pattern"
		      "\":{\"type\":\"string\",\"minLength\":1},\"pat"
		      "h\":{\"type\":\"string\",\"minLength\":1},\"re"
		      "gex\":{\"type\":\"boolean\"},\"case_sensitive"
		      "\":{\"type\":\"boolean\"},\"dot\":{\"type\":\""
		      "boolean\"},\"gitignore\":{\"type\":\"boolean\""
		      "},\"max_results\":{\"type\":\"integer\",\"mini"
		      "mum\":1}},\"required\":[\"pattern\",\"path\"],"
		      "\"additionalProperties\":false}",
	    .effect = TOOL_READS,
	    .kind = &fs_kind,
	    .needs_sandbox = 1 },
	{ .name = "bash_run",
	    .description =
		"Runs a command with bash, in the workspace, and gives its "
		"exit code and what it printed. It has no network and sees "
		"nothing of the host but /usr. What it has started ends with "
		"it; to have something go on, run it with background.",
	    .schema =
		"{\"type\":\"object\",\"properties\":{"
		"\"cmd\":{\"type\":\"string\",\"minLength\":1,"
		"\"maxLength\":100000},"
		"\"timeout_ms\":{\"type\":\"integer\",\"minimum\":1,"
		"\"description\":\"It is ended after this time\"},"
		"\"background\":{\"type\":\"boolean\","
		"\"description\":\"It goes on while you do other things\"}},"
		"\"required\":[\"cmd\"],\"additionalProperties\":false}",
	    .effect = TOOL_WRITES,
	    .kind = &bash_kind,
	    .needs_sandbox = 1 },
	{ .name = "bash_logs",
	    .description = "What a command in the background has printed, and "
			   "whether it still runs.",
	    .schema = "{\"type\":\"object\",\"properties\":{"
		      "\"shell_id\":{\"type\":\"string\",\"minLength\":1}},"
		      "\"required\":[\"shell_id\"],"
		      "\"additionalProperties\":false}",
	    .effect = TOOL_READS,
	    .kind = &bash_logs_kind,
	    .needs_sandbox = 1 },
	{ .name = "bash_kill",
	    .description = "Ends a command in the background, with all that "
			   "it has started.",
	    .schema = "{\"type\":\"object\",\"properties\":{"
		      "\"shell_id\":{\"type\":\"string\",\"minLength\":1}},"
		      "\"required\":[\"shell_id\"],"
		      "\"additionalProperties\":false}",
	    .effect = TOOL_WRITES,
	    .kind = &bash_kill_kind,
	    .needs_sandbox = 1 },
};

static struct arena *docs;
static int sandboxed;

void
tools_init(int has_sandbox)
{
	sandboxed = has_sandbox;
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

const char *
tool_missing(const char *name)
{
	const struct tool *t = tool_find(name);

	if (t == NULL || !t->needs_sandbox || sandboxed)
		return NULL;
	return "it needs a workspace, and this server has none: set "
	       "sandbox.socket and start agent-fpm-sandbox, or set "
	       "sandbox.address";
}
