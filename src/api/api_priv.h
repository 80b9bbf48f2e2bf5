/* SPDX-License-Identifier: MIT */
#ifndef API_API_PRIV_H
#define API_API_PRIV_H

#include "api/app.h"
#include "api/handlers.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "store/event.h"
#include "store/store.h"

struct api_seat;
struct http_route;
struct hub_viewer;

/* Flags of a route. */
#define API_OPEN 1        /* no token is asked for */
#define API_TICKET 2      /* ?ticket= will do */
#define API_JSON 4        /* the body is a JSON object */
#define API_SSE 8         /* answers an event stream, or JSON where both */
#define API_BOTH 16       /* with API_SSE: JSON too, by Accept */
#define API_RAW 32        /* a file: any type, and as large as one may be */
#define API_TAR 64        /* JSON, or a tar archive by Accept or ?format=tar */
#define API_CHAT 128      /* may begin a turn: it counts as a chat */
#define API_ANY 256       /* of whichever type: the handler looks at Accept */
#define API_UNAUDITED 512 /* changes, but is no act for the audit log */
#define API_SESSION 1024  /* of sessions: sessions_priv.h */
#define API_PAGE 2048     /* of AgentBridge: pages.h */

/* The scope that a route needs; where none is said, agents:read of GET and
 * agents:write of other methods. */
#define API_NEEDS(scope) ((1u + (scope)) << 12)
#define API_SCOPE(flags) ((int)((flags) >> 12) - 1)

/* One request being answered. */
struct api_call {
	struct app *app;
	struct http_request *rq;
	struct http_response *rs;
	struct arena *arena;
	const char *user;
	const char *tenant;             /* "": none */
	unsigned roles, scopes;         /* bits: 1 << IDENTITY_... */
	int scoped;                     /* they count whatever jwt.scopes is */
	const char *jti;                /* the token's name; "": it has none */
	int64_t issued_s;               /* 0: not said */
	int64_t expires_s;              /* when the token does: Unix time */
	const struct json *body;        /* API_JSON */
	int wants_json;                 /* API_BOTH: Accept prefers it */
	const struct http_route *route; /* NULL: there is none */
	struct api_seat *seat;          /* of a stream that opens, or NULL */
	const char *made;               /* agent that was made, or NULL */
	int handled;                    /* it came as far as its handler */
};

/* Whether the caller has a role. */
int api_has_role(const struct api_call *c, enum identity_role role);

/* Who asks: from the token or ticket. 0, or -1 and ERR_UNAUTHORIZED. */
int api_authenticate(struct api_call *c, int ticket_allowed, struct err *err);

/* Whether the token may be used for a route of these flags. 0, or -1,
 * ERR_FORBIDDEN and a header that says which scope it needs. */
int api_check_scope(struct api_call *c, unsigned flags, struct err *err);

/* Writes the request to the audit log, if it belongs there. Blocks. */
void api_audit(struct api_call *c, const struct err *err);

/* ---- members of the body ---- */

/*
 * A string of at most max bytes. 1 and *out_r; 0 if it is absent or null; -1
 * and ERR_INVALID if it is something else or too long.
 */
int api_body_str(const struct api_call *c, const char *name, size_t max,
    const char **out_r, struct err *err);

/* An integer of the query, or fallback. -1 and ERR_REQUEST if it is none. */
int api_query_int(const struct api_call *c, const char *name, int64_t min,
    int64_t max, int64_t *out, struct err *err);

/* The member message as a JSON array of content blocks (message.c). */
int api_body_message(
    const struct api_call *c, struct buf *out, struct err *err);

/* The same of a text, whatever it says; and whether so many bytes may be. */
void api_add_text(struct buf *out, const char *text);
int api_check_message(const struct api_call *c, size_t len, struct err *err);

/* runner_tell about this request's agent; a failure is logged. */
void api_tell(struct api_call *c, const char *lease, const char *what);

/*
 * A call of the sandbox about an agent's files, which belong to agent or, of a
 * sub-agent, to its maker: call->agent is set. Blocks. 0; -1 and err, also if
 * the agent is not the user's or the server has no sandbox.
 */
struct sandbox_call;
int api_sandbox(struct api_call *c, const char *agent,
    struct sandbox_call *call, struct err *err);

/* The agent whose files they are; what api_sandbox looks up first. */
int api_workspace(struct api_call *c, const char *agent, const char **whose_r,
    struct err *err);

/* 1 if the request wants an archive; files_tar answers with it. */
int api_wants_tar(const struct api_call *c);
int files_tar(struct api_call *c, struct err *err);

/* Deletes the files of an agent; fine if it has none of its own. */
int api_files_delete(struct api_call *c, const char *agent, struct err *err);

/* Copies them to an agent that will be, if there are any. */
int api_files_copy(
    struct api_call *c, const char *agent, const char *to, struct err *err);

/* Deletes the copy for an agent that did not come to be. */
void api_files_drop(struct api_call *c, const char *agent);

/* 0, or -1 and ERR_OVERLOAD if the pool was told to take no new messages. */
int api_check_drained(const struct app *app, struct err *err);

/* 1 if Accept admits type. */
int api_accepts(const struct api_call *c, const char *type);

/* The Idempotency-Key, or "". -1 if it is too long or not printable. */
int api_idem_key(const struct api_call *c, const char **key_r, struct err *err);

/* Opens a stream: counts the viewer. 0, or -1 and a limit. */
int api_viewer_take(struct api_call *c, struct err *err);
void api_viewer_drop(struct api_call *c);

/*
 * Makes spec of this request, whose response it is from now on: descriptor,
 * head, user, on_gone. rs is the head.
 */
void api_viewer_detach(struct api_call *c, struct hub_viewer *spec);

/* A response as the hub writes it, head and body; to be freed. */
char *api_answer_text(
    const struct http_response *rs, const struct http_request *rq);

/* A page's documents as an array. */
void api_add_docs(
    struct buf *b, const char *name, const struct store_page *page);

#endif
