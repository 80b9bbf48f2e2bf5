/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_CALL_H
#define AGENT_TURN_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "agent/templates.h"
#include "agent/turn_step.h"
#include "base/buf.h"
#include "net/webhook.h"
#include "tool/tool.h"

/*
 * The tool calls of a step, and their records: what was asked, what was
 * decided, what came of it, and when. A record is in Redis before its tool
 * runs and after, so that who resumes the turn knows what may have happened.
 * All of the loop's thread, in the memory of turn->round.
 */
struct turn;
struct toolset;
struct model_result;

/* Its place in the record's life: spec/kode.md, section 1.1. */
enum call_state {
	CALL_PENDING,
	CALL_APPROVAL_REQUIRED,
	CALL_APPROVED,
	CALL_EXECUTING,
	CALL_COMPLETED,
	CALL_FAILED,
	CALL_DENIED,
	CALL_SEALED
};

/* As the API shows it; and back: what nobody knows is CALL_EXECUTING. */
const char *call_state_name(enum call_state state);
enum call_state call_state_find(const char *name);

#define CALL_IS_OVER(state) ((state) >= CALL_COMPLETED)

struct turn_call {
	struct turn *turn;
	char id[64];
	const char *name;
	const char *input; /* JSON, or the text that is none */
	size_t input_len;
	const struct json *args; /* NULL: the input is no JSON object */
	const struct tool *tool; /* NULL: there is none of that name */
	enum call_state state;
	int unwritten;      /* Redis does not know this state yet */
	int is_new;         /* nor any other */
	const char *result; /* the envelope, when it is over */
	const char *error;  /* NULL: it went well */
	const char *reason; /* why it was denied, or must be asked */
	int64_t asked_ms;   /* when a human was asked, or 0 */
	enum { ASKED_NOBODY, ASKED_HUMAN, ASKED_CHILD } asked; /* in Redis */
	const struct json *answer; /* what was decided, or NULL */
	int answer_is_new;         /* no event has told of it */
	int64_t created_ms, started_ms, completed_ms;
	struct buf audit; /* JSON values with commas between */
	int must_ask;     /* a human, if no hook decides */
	struct tool_run run;
	int running; /* until its result is taken */
	struct webhook hook;
	int hooking;

	const char *child; /* its sub-agent's id, or NULL */
	int spawned;       /* that is there */
	int announced;     /* subagent:start was written */
	int reported;      /* its report is in, and not counted */
	int surfaced;      /* its question was shown to whom we work for */
	int64_t child_tokens;
	char spawn_error[200];
};

/* Memory for the calls of a step, in t->calls. */
struct turn_call *calls_alloc(struct turn *t, size_t count);

/* How many calls are in the content of an answer. */
size_t calls_count(const struct model_result *r);

/* The calls of an answer, decided as far as can be. */
void calls_from_answer(struct turn *t, const struct model_result *r);

/* The calls whose records came with the lease. */
void calls_from_records(struct turn *t);

/* A new state, with a line in the audit trail. */
void call_set(struct turn_call *c, enum call_state state, const char *note);

/* One more line in the audit trail, in the state it is in. */
void call_note(struct turn_call *c, const char *note);

/* It is over: the envelope says so to the model. */
void call_fail(struct turn_call *c, enum call_state state, enum tool_error type,
    const char *error, const char *note);

/* Evaluates the permission: it is denied, or a hook is to be asked, or else. */
void call_decide(struct turn_call *c);

/* What the permission says: a human is asked, or it runs. */
void call_go_on(struct turn_call *c);
void call_ask(struct turn_call *c, const char *reason);

/* Seals a call that was cut short, in the words of spec/kode.md 1.5. */
void call_seal(struct turn_call *c, const char *note);

/* What a human decided on a call that waits for it: turn_approve.c. */
void call_answer(struct turn_call *c, const char *decision);

/* Denies the calls that nobody decided on in time. */
void calls_expire(struct turn *t);

/* 1 if all that is left is to wait for humans and sub-agents. */
int calls_wait(const struct turn *t);

/* Puts into t->commit what of the calls is not in Redis yet. */
void calls_commit(struct turn *t);

/* 1 if no call is still to be run, or runs. */
int calls_over(const struct turn *t);

/* Appends ,"call":{...} for an event. */
void call_snapshot(struct buf *b, const struct turn_call *c);

/* Puts the message with all results into t->commit, and forgets the calls. */
void calls_commit_results(struct turn *t);

#endif
