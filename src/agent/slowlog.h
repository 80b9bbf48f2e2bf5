/* SPDX-License-Identifier: MIT */
#ifndef AGENT_SLOWLOG_H
#define AGENT_SLOWLOG_H

struct conf;
struct err;
struct model_call;
struct turn;
struct turn_call;

/*
 * What took longer than slowlog.turn, .model and .tool allow: a line of JSON
 * each, into slowlog.file or beside the log. Never a text of anybody's. The
 * loop's thread; a line is written at once.
 */

/* Whether the file can be written. 0, or -1 and ERR_CONFIG. */
int slowlog_check(const struct conf *c, struct err *err);

/* A turn that is over, or leaves this process: reason says which. */
void slowlog_turn(const struct turn *t, const char *reason);

/* A call of the model that has ended. */
void slowlog_model(const struct turn *t, struct model_call *call);

/* A tool call that is over. */
void slowlog_tool(const struct turn_call *c);

#endif
