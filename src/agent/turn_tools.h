/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_TOOLS_H
#define AGENT_TURN_TOOLS_H

/* The tools of a turn, and those of them that run: see turn_tools.c. */
struct json;
struct toolset;
struct turn;
struct turn_call;

/* It is over: with what its tool said, or with a value in its place. */
void call_take_result(struct turn_call *c);
void call_finish(
    struct turn_call *c, const struct json *data, const char *note);

/* The agent's tools, made once a turn. */
struct toolset *turn_tools(struct turn *t);

/* The agent whose files the turn works on: its own, or a sub-agent's maker. */
const char *turn_workspace(const struct turn *t);

/* 1 while a tool runs, or a hook is asked about one. */
int turn_tools_run(const struct turn *t);

/* Stops what runs; each call is sealed or finished. */
void turn_tools_cancel(struct turn *t);

/* Begins a round: memory for its calls. */
void turn_tools_open(struct turn *t);

/* Frees what the tools of a step used. */
void turn_tools_free(struct turn *t);

#endif
