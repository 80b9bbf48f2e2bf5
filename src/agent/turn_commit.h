/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_COMMIT_H
#define AGENT_TURN_COMMIT_H

#include <stddef.h>

#include "agent/turn_step.h"
#include "store/event.h"

/* What a turn writes together: into t->commit, and out with turn_commit. */
struct buf;
struct model;
struct turn;
struct model_result;
struct model_usage;

void turn_commit_event(struct turn *t, enum event_kind kind, const char *rest);

/* A document of the history; marks are members before its role. */
void turn_commit_message(struct turn *t, const char *marks, const char *role,
    const char *content, size_t len);

/* The answer of the model, and by whom it was said. */
void turn_commit_answer(struct turn *t, const char *marks);

/* A message to the model that its user does not see as one: a JSON array of
 * blocks. */
void turn_commit_hidden(struct turn *t, const struct buf *content);

/* The step is over: the model is asked again, after this commit. */
void turn_commit_step(struct turn *t);

/* turn_todo.c: the list that a call has made, and a reminder of it. */
struct turn_call;
void turn_commit_todos(struct turn *t, struct turn_call *c);
void turn_commit_reminder(struct turn *t);

/* Writes what was gathered, and goes on with after; or with TURN_NEXT, if it
 * failed. */
enum turn_step turn_commit(struct turn *t, enum turn_step after);

void turn_commit_usage(struct turn *t, const struct model_result *r);

/* Adds to what the turn has used, in t->commit. */
void turn_count_tokens(struct turn *t, const struct model_usage *u);

/* For the user's day: a call of that model. */
void turn_count_usage(
    struct turn *t, const struct model *m, const struct model_usage *u);

#endif
