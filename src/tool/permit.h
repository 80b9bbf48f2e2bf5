/* SPDX-License-Identifier: MIT */
#ifndef TOOL_PERMIT_H
#define TOOL_PERMIT_H

struct arena;
struct err;
struct json;

/*
 * Who may call which tool with which arguments: an agent's permission, as
 *
 *   {"mode": "auto", "allowTools": [], "denyTools": [],
 *    "requireApprovalTools": [],
 *    "rules": [{"tool": "shell", "argument": "command",
 *               "pattern": "git status*", "decision": "allow"}]}
 *
 * In this order: denyTools deny; allowTools, if there are any, deny what is
 * not among them; then the rules that match, deny before ask before allow;
 * requireApprovalTools ask; and the mode: auto allows, approval asks, readonly
 * allows what reads, denies what writes and asks about the rest. A rule that
 * allows spares the question, and never the denials; in readonly it lets
 * nothing write. Names may be patterns: mcp__github__*. Pure.
 *
 * Patterns: * any characters, ? one, [a-z] one of them, \ takes the next as
 * it is. A rule matches if the argument does, a string or a list of them: of
 * a list one for a rule that denies or asks, all for one that allows.
 * Arguments may be commands of a shell, so a pattern that allows does not
 * match a value with one of ; & | ` $ ( ) < > or a line end that the pattern
 * does not have too; one that denies or asks matches also any part of the
 * value between those.
 */
struct permit;

enum tool_effect { TOOL_UNKNOWN, TOOL_READS, TOOL_WRITES };

enum permit_decision { PERMIT_ALLOW, PERMIT_DENY, PERMIT_ASK };

struct permit_call {
	const char *tool;
	enum tool_effect effect;
	const struct json *args; /* an object */
};

struct permit_answer {
	enum permit_decision decision;
	const char *reason; /* for people and the model */
};

/*
 * The arena's, as must be j, which it points into. NULL is mode auto. NULL
 * and ERR_INVALID, which says what is wrong and what would be right.
 */
struct permit *permit_parse(
    struct arena *a, const struct json *j, struct err *err);

struct permit_answer permit_evaluate(
    const struct permit *p, const struct permit_call *c);

/* 0 if no call of this tool can be allowed: then no model is told of it. */
int permit_advertised(
    const struct permit *p, const char *tool, enum tool_effect effect);

/* 1 if s is of the pattern. Time: the product of their lengths at most. */
int permit_glob(const char *pattern, const char *s);

#endif
