/* SPDX-License-Identifier: MIT */
#ifndef API_SESSIONS_PRIV_H
#define API_SESSIONS_PRIV_H

#include "api/api_priv.h"
#include "store/sessions.h"

struct agent_template;

/*
 * Sessions: the routes that front ends of agent-runtime and agent-server know,
 * with their bodies, errors and headers (flag API_SESSION).
 */

/* ---- what the files of agents, chat and tokens do for them ---- */

/* The same for routes of sessions: the token may stand alone in the header, or
 * be not needed (bridge.auth). */
int api_authenticate_session(
    struct api_call *c, int ticket_allowed, struct err *err);

/*
 * Says a text to this request's agent, as POST messages does with onBusy
 * enqueue. Blocks for the store.
 */
int api_say(struct api_call *c, const char *text, struct err *err);

/* Interrupts the turn that runs in this request's agent, if one does, and does
 * not wait for its end. */
int api_stop(struct api_call *c, struct err *err);

/* Deletes an agent, its files and its sub-agents. */
int api_agent_delete(struct api_call *c, const char *id, struct err *err);

/* 1 if origin is one of the list. */
int api_origin_allowed(const char *list, const char *origin);

/* ---- sessions_http.c: what is so of all of these routes ---- */

/* 1 if a path is theirs, whether there is such a route or not. */
int sessions_path(const char *path);

/*
 * 1 if GET /health is asked by one of those front ends, which send a token, or
 * the type of a body that is not there, with every request: they expect less of
 * the answer.
 */
int sessions_health(const struct api_call *c);

/* The headers of CORS, as bridge.cors_origins has it; and OPTIONS. */
void sessions_cors(struct api_call *c);
void sessions_options(struct api_call *c);

/* The answer to a request for a route that there is not, a method included. */
void sessions_not_found(struct api_call *c);

/* The answer to a request that failed before its handler, or in it. */
void sessions_problem(struct api_call *c, const struct err *err);

/* Answers {"error":TEXT,"code":CODE}; code may be NULL. Returns 0. */
int session_refuse(
    struct api_call *c, int status, const char *text, const char *code);

/*
 * What a handler returns that got err of the store or the sandbox: 404 and
 * SESSION_NOT_FOUND where it is that there is no such session; 500 with text
 * and code where the server failed; the caller's own limit or mistake stays
 * one.
 */
int session_fail(
    struct api_call *c, struct err *err, const char *text, const char *code);

/* ---- session_body.c: bodies, and what is wrong with them ---- */

/* A member that a body has, or may have. */
struct session_member {
	const char *name;
	enum {
		MEMBER_STRING,
		MEMBER_OBJECT,
		MEMBER_ARCHITECTURE,
		MEMBER_FILES /* a list of {path, content?} */
	} type;
	int optional;
};

/*
 * The body, an object with these members, which end with a NULL: 1 and in
 * c->body. 0: it was answered, with all that is wrong with it.
 */
int session_body(struct api_call *c, const struct session_member *members);

/* ---- sessions.c ---- */

/* Makes the id of the path the agent's. 0, or -1 and ERR_FORBIDDEN if it is
 * none. */
int session_take_id(struct api_call *c, struct err *err);

/*
 * The session of the path, whose id becomes its agent's there; *id_r is the
 * session's. 0; -1 and err, ERR_FORBIDDEN if it is none of the user's.
 */
int session_find(struct api_call *c, const char **id_r, struct store_session *s,
    struct err *err);

/* ---- session_files.c ---- */

struct session_file {
	const char *path, *content;
	size_t len;
};

/* In the order of their paths. */
struct session_files {
	struct session_file *files;
	size_t count;
};

/* The member defaultWorkspaceFiles of a body that session_body has taken: 1. 0:
 * it was answered, as they cannot be files of a workspace, or are too large. */
int session_body_files(struct api_call *c, struct session_files *out);

/* Saves them for a session that was just made; the caller's arena. 0 or -1. */
int session_save_files(struct api_call *c, const char *agent,
    const struct session_files *files, struct err *err);

/* Appends the member workspaceFiles of the session of the path: of its
 * workspace, or if that is not there, what is saved. */
void session_add_files(struct api_call *c, struct buf *b);

/* ---- session_profiles.c ---- */

/* A template by name; "default" is there if none is configured. Or NULL. */
const struct agent_template *session_profile_find(
    const struct app *app, const char *name);

/* ---- session_view.c ---- */

/* Appends the members of a list's item. */
void session_add_item(struct buf *b, const struct store_session *s);

/* GET with view=live: what the gateway needs to go along with a session, its
 * state and where its agent's events are at. */
int session_get_live(struct api_call *c, struct err *err);

/* Appends the member runtime. */
void session_add_runtime(struct buf *b, const struct store_session *s);

#endif
