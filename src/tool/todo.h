/* SPDX-License-Identifier: MIT */
#ifndef TOOL_TODO_H
#define TOOL_TODO_H

#include <stdint.h>

#include "tool/tool.h"

struct buf;
struct err;
struct json;

/*
 * An agent's todo list: {"todos":[{"id","title","status","assignee?",
 * "notes?","createdAt","updatedAt"}],"version","updatedAt"}, times in ms.
 * Pure.
 */

/* The tools todo_read and todo_write. */
extern const struct tool_kind todo_read_kind, todo_write_kind;

/*
 * Puts into out the list that todos, an array of items as a client or a model
 * gives them, makes of current ("" none). Items keep createdAt by their id.
 * 0, or -1 and ERR_INVALID: an id twice or missing, a blank title, an unknown
 * status, more than one in progress, too many.
 */
int todo_make(const char *current, const struct json *todos, int64_t now_ms,
    struct buf *out, struct err *err);

#endif
