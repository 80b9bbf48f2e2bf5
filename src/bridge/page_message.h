/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_PAGE_MESSAGE_H
#define BRIDGE_PAGE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct err;
struct json;

/*
 * Messages of AgentBridge, in both its dialects: B1 is what its documents say,
 * B2 what its SDK does. Pure functions; docs/bridge.md has the forms.
 */
enum page_dialect { PAGE_B1, PAGE_B2 };

/* What a client says, by its type. */
enum page_says {
	PAGE_CAPABILITY,       /* B1: what it can do, all of it */
	PAGE_REGISTER,         /* B2: the same */
	PAGE_UPDATE,           /* B2: what is new of it */
	PAGE_RESPONSE,         /* B1 */
	PAGE_FUNCTION_RESULT,  /* B2 */
	PAGE_COMPONENT_RESULT, /* B2 */
	PAGE_ERROR,            /* B2: of a component, it does not say which */
	PAGE_EVENT,
	PAGE_SESSION,
	PAGE_QUERY, /* of an agent */
	PAGE_CALL,  /* of an agent */
	PAGE_OTHER
};

struct page_message {
	enum page_says says;
	const char *type;       /* as it was given */
	const struct json *doc; /* an object */
};

/* 0, or -1: it is no JSON that is taken, or no object with a type. All of it
 * is the arena's. */
int page_message_read(struct arena *a, const char *text, size_t len,
    struct page_message *out, struct err *err);

/* ---- what a page can do ---- */

struct page_limits {
	size_t count, bytes; /* of capabilities */
};

/*
 * Appends what a page can do, as a list in the form of B1, for a message that
 * says so: CAPABILITY, REGISTER, or UPDATE, which changes what it has said, a
 * list in that form or NULL. 0, or -1 and ERR_LIMIT: it is too much.
 */
int page_capabilities(struct buf *out, const struct page_message *m,
    const struct json *said, const struct page_limits *limits, struct err *err);

/* Appends the members functions and components that an agent gets of a page
 * that can do this. */
void page_functions(
    struct buf *out, const struct json *list, const char *client);
void page_components(
    struct buf *out, const struct json *list, const char *client);

/* ---- commands ---- */

/* A command as the page gets it. */
struct page_command {
	struct buf *text;      /* appended */
	const char *component; /* B2: which one it is for, the arena's or the
				* command's; NULL: it is for a function */
	int update;            /* of a component's properties */
};

/* id is the request's; capabilities are the page's, a list or NULL. Of B2, 0
 * or -1 and ERR_REQUEST: it says not for what. */
void page_command_b1(struct buf *out, const char *id, int64_t now_ms,
    const struct json *command);
int page_command_b2(struct page_command *out, const char *id, int64_t now_ms,
    const struct json *command, const struct json *capabilities,
    struct err *err);

/* Appends the command that an agent's CALL is. Members that are absent are
 * left out. */
void page_command_of_call(
    struct buf *out, const struct page_message *m, const char *agent);

/* ---- answers ---- */

/*
 * Appends the members status and result, or error, of the answer that a page's
 * RESPONSE, RESULT or ERROR is. 1, or 0: that is an error.
 */
int page_answer(struct buf *out, const struct page_message *m);

/* The same for an error that is the gateway's own. */
void page_answer_error(struct buf *out, const char *code, const char *message);

#endif
