/* SPDX-License-Identifier: MIT */
/*
 * What is so of all routes of sessions: their errors, and CORS. Front ends of
 * agent-runtime look at bodies and status codes as its server gave them, so
 * these are those, to the byte; the rest of the API has problem documents.
 */
#include "config.h"

#include <string.h>

#include "api/sessions_priv.h"
#include "base/log.h"
#include "conf/conf.h"

static const char *const paths[] = { "/api/sessions", "/sessions",
	"/agent-profiles" };

int
sessions_path(const char *path)
{
	size_t n;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		n = strlen(paths[i]);
		if (strncmp(path, paths[i], n) == 0 &&
		    (path[n] == '\0' || path[n] == '/'))
			return 1;
	}
	return 0;
}

int
sessions_health(const struct api_call *c)
{
	const char *token = http_header(c->rq, "HTTP_AUTHORIZATION");
	const char *type = http_header(c->rq, "CONTENT_TYPE");

	return (token != NULL && *token != '\0') ||
	       (type != NULL && strncmp(type, "application/json", 16) == 0);
}

/* ---- CORS ---- */

void
sessions_cors(struct api_call *c)
{
	const char *list = c->app->conf->bridge_cors_origins;
	const char *origin = http_header(c->rq, "HTTP_ORIGIN");

	if (strcmp(list, "*") == 0) {
		http_header_add(c->rs, "Access-Control-Allow-Origin", "*");
		return;
	}
	if (*list == '\0')
		return;
	http_header_add(c->rs, "Vary", "Origin");
	if (origin != NULL && api_origin_allowed(list, origin))
		http_header_add(
		    c->rs, "Access-Control-Allow-Origin", "%s", origin);
}

void
sessions_options(struct api_call *c)
{
	const char *wanted =
	    http_header(c->rq, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS");

	c->rs->status = 204;
	http_header_add(c->rs, "Access-Control-Allow-Methods",
	    "GET,HEAD,PUT,POST,DELETE,PATCH");
	if (wanted == NULL || *wanted == '\0')
		return;
	http_header_add(c->rs, "Access-Control-Allow-Headers", "%s", wanted);
	http_header_add(c->rs, "Vary", "Access-Control-Request-Headers");
}

/* ---- errors ---- */

int
session_refuse(
    struct api_call *c, int status, const char *text, const char *code)
{
	struct buf *b = &c->rs->body;

	buf_clear(b);
	http_json(c->rs, status);
	json_open(b, NULL, '{');
	json_add_str(b, "error", text);
	if (code != NULL)
		json_add_str(b, "code", code);
	json_close(b, '}');
	return 0;
}

void
sessions_not_found(struct api_call *c)
{
	buf_clear(&c->rs->body);
	c->rs->status = 404;
	c->rs->type = "text/plain; charset=UTF-8";
	buf_lit(&c->rs->body, "404 Not Found");
}

static void
unauthorized(struct api_call *c)
{
	const char *h = http_header(c->rq, "HTTP_AUTHORIZATION");

	if (h == NULL || *h == '\0')
		session_refuse(
		    c, 401, "Missing Authorization header", "AUTH_REQUIRED");
	else
		session_refuse(c, 401, "Invalid API key", "INVALID_API_KEY");
}

/* What those servers do not know, with the status that it has here. */
static const char *
code_of(enum err_code code)
{
	static const struct {
		enum err_code code;
		const char *name;
	} names[] = {
		{ ERR_FORBIDDEN, "FORBIDDEN" },
		{ ERR_LIMIT, "RATE_LIMITED" },
		{ ERR_OVERLOAD, "OVERLOADED" },
		{ ERR_TOO_LARGE, "TOO_LARGE" },
		{ ERR_REQUEST, "BAD_REQUEST" },
		{ ERR_INVALID, "INVALID" },
		{ ERR_STORE, "STORE_UNAVAILABLE" },
		{ ERR_UNCERTAIN, "STORE_UNAVAILABLE" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].code == code)
			return names[i].name;
	return NULL;
}

void
sessions_problem(struct api_call *c, const struct err *err)
{
	const char *name = code_of(err->code);

	if (err->code == ERR_NOT_FOUND)
		sessions_not_found(c);
	else if (err->code == ERR_UNAUTHORIZED)
		unauthorized(c);
	else if (name == NULL)
		session_refuse(
		    c, 500, "Internal server error", "INTERNAL_ERROR");
	else
		session_refuse(c, err_info(err->code)->http_status,
		    err->code == ERR_FORBIDDEN ? "Forbidden" : err->text, name);
	if (err->retry_after_s > 0)
		http_header_add(c->rs, "Retry-After", "%d", err->retry_after_s);
}

int
session_fail(
    struct api_call *c, struct err *err, const char *text, const char *code)
{
	if (err->code == ERR_FORBIDDEN)
		return session_refuse(
		    c, 404, "Session not found", "SESSION_NOT_FOUND");
	if (err->code == ERR_LIMIT || err->code == ERR_OVERLOAD ||
	    err->code == ERR_TOO_LARGE || err->code == ERR_REQUEST)
		return -1;
	if (err->code == ERR_NOT_FOUND) /* a profile: the caller's mistake */
		log_info("%s %s: %s", c->rq->method, c->rq->path, err->text);
	else
		log_warn("%s %s: %s", c->rq->method, c->rq->path, err->text);
	return session_refuse(c, 500, text, code);
}
