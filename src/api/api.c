/* SPDX-License-Identifier: MIT */
/*
 * The API: one table of routes, and what every request goes through before
 * its handler: bounds, token, content negotiation, body. A handler gets a
 * user who is verified and a body that is JSON, fills the response or an
 * error, and is done; one that becomes a stream hands its connection to the
 * hub instead.
 */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/api_priv.h"
#include "api/limits.h"
#include "api/pages.h"
#include "api/sessions_priv.h"
#include "api/status.h"
#include "base/clk.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/scoreboard.h"
#include "conf/conf.h"
#include "http/route.h"
#include "store/revoked.h"
#include "stream/hub.h"

#define IDEM_KEY_MAX 128

#define SAYS                                                                   \
	(API_UNAUDITED | API_SESSION | API_ANY | API_CHAT |                    \
	    API_NEEDS(IDENTITY_CHAT))

static const struct http_route routes[] = {
	{ "POST", "/api/agents", agents_create, API_JSON },
	{ "GET", "/api/agents", agents_list, 0 },
	{ "GET", "/api/agents/:id", agents_get, 0 },
	{ "PATCH", "/api/agents/:id", agents_patch, API_JSON },
	{ "DELETE", "/api/agents/:id", agents_delete, 0 },
	{ "POST", "/api/agents/:id/chat", chat_post,
	    API_UNAUDITED | API_JSON | API_SSE | API_CHAT |
		API_NEEDS(IDENTITY_CHAT) },
	{ "POST", "/api/agents/:id/messages", messages_post,
	    API_UNAUDITED | API_JSON | API_CHAT | API_NEEDS(IDENTITY_CHAT) },
	{ "GET", "/api/agents/:id/messages", messages_get, 0 },
	{ "POST", "/api/agents/:id/interrupt", interrupt_post,
	    API_NEEDS(IDENTITY_CHAT) },
	{ "GET", "/api/agents/:id/todos", todos_get, 0 },
	{ "PUT", "/api/agents/:id/todos", todos_put, API_UNAUDITED | API_JSON },
	{ "GET", "/api/agents/:id/files", files_list,
	    API_TAR | API_NEEDS(IDENTITY_FILES_READ) },
	{ "GET", "/api/agents/:id/files/*path", files_get,
	    API_RAW | API_NEEDS(IDENTITY_FILES_READ) },
	{ "PUT", "/api/agents/:id/files/*path", files_put,
	    API_RAW | API_NEEDS(IDENTITY_FILES_WRITE) },
	{ "DELETE", "/api/agents/:id/files/*path", files_delete,
	    API_RAW | API_NEEDS(IDENTITY_FILES_WRITE) },
	{ "GET", "/api/agents/:id/inbox", inbox_get, 0 },
	{ "GET", "/api/agents/:id/checkpoints", checkpoints_get, 0 },
	{ "POST", "/api/agents/:id/checkpoints", checkpoints_post, API_JSON },
	{ "POST", "/api/agents/:id/reminders", reminders_post,
	    API_UNAUDITED | API_JSON | API_NEEDS(IDENTITY_CHAT) },
	{ "POST", "/api/agents/:id/fork", fork_post, API_JSON },
	{ "POST", "/api/agents/:id/rewind", rewind_post, API_JSON },
	{ "DELETE", "/api/agents/:id/inbox", inbox_clear,
	    API_NEEDS(IDENTITY_CHAT) },
	{ "DELETE", "/api/agents/:id/inbox/:message", inbox_delete,
	    API_NEEDS(IDENTITY_CHAT) },
	{ "GET", "/api/agents/:id/approvals", approvals_get, 0 },
	{ "POST", "/api/agents/:id/approvals/:call", approvals_post,
	    API_JSON | API_NEEDS(IDENTITY_APPROVALS) },
	{ "GET", "/api/agents/:id/tool-calls", tool_calls_get, 0 },
	{ "GET", "/api/agents/:id/events", events_get,
	    API_TICKET | API_SSE | API_BOTH },
	{ "POST", "/api/tickets", tickets_post,
	    API_UNAUDITED | API_NEEDS(IDENTITY_AGENTS_READ) },
	{ "POST", "/api/sessions", sessions_create, API_SESSION | API_ANY },
	{ "GET", "/api/sessions", sessions_list, API_SESSION | API_ANY },
	{ "GET", "/api/sessions/:id", session_get, API_SESSION | API_ANY },
	{ "GET", "/api/sessions/:id/files/*path", session_file,
	    API_SESSION | API_ANY },
	{ "DELETE", "/api/sessions/:id", session_unload,
	    API_SESSION | API_ANY | API_NEEDS(IDENTITY_CHAT) },
	{ "POST", "/api/sessions/:id/sync", session_sync,
	    API_UNAUDITED | API_SESSION | API_ANY |
		API_NEEDS(IDENTITY_AGENTS_READ) },
	{ "PATCH", "/api/sessions/:id/options", session_options,
	    API_SESSION | API_ANY },
	{ "POST", "/api/sessions/:id/messages", session_message, SAYS },
	{ "POST", "/api/sessions/:id/environment/terminate", session_terminate,
	    API_SESSION | API_ANY | API_NEEDS(IDENTITY_CHAT) },
	{ "POST", "/sessions/create", sessions_create, API_SESSION | API_ANY },
	{ "POST", "/sessions", sessions_create, API_SESSION | API_ANY },
	{ "GET", "/sessions", sessions_list, API_SESSION | API_ANY },
	{ "GET", "/sessions/:id", session_get, API_SESSION | API_ANY },
	{ "DELETE", "/sessions/:id", session_delete, API_SESSION | API_ANY },
	{ "POST", "/sessions/:id/message", session_message, SAYS },
	{ "GET", "/agent-profiles", session_profiles_get,
	    API_SESSION | API_ANY },
	{ "GET", "/api/capabilities", capabilities_get, API_PAGE | API_ANY },
	{ "POST", "/api/command", command_post,
	    API_PAGE | API_ANY | API_NEEDS(IDENTITY_CHAT) },
	{ "GET", "/api/templates", templates_get, 0 },
	{ "GET", "/api/usage", usage_get, 0 },
	{ "GET", "/api/whoami", whoami_get, API_SESSION | API_TICKET },
	{ "GET", "/health", health_get, API_OPEN },
	{ "GET", "/ready", ready_get, API_OPEN },
	{ "GET", "/live", live_get, API_OPEN },
	{ "GET", "/metrics", metrics_get, API_OPEN | API_ANY },
	{ "GET", "/status", status_get, API_OPEN | API_ANY },
	{ NULL, NULL, NULL, 0 },
};

/* ---- content negotiation (RFC 9110, section 12) ---- */

/* How exactly the media range at s, of n bytes, names type: 0 not at all. */
static int
range_matches(const char *s, size_t n, const char *type)
{
	size_t len = strcspn(s, ",;");
	size_t slash = strcspn(type, "/") + 1;

	len = len < n ? len : n;
	while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	if (len == 3 && memcmp(s, "*/*", 3) == 0)
		return 1;
	if (len == slash + 1 && s[slash] == '*' &&
	    strncasecmp(s, type, slash) == 0)
		return 2;
	return len == strlen(type) && strncasecmp(s, type, len) == 0 ? 3 : 0;
}

/* 1 if the range has the weight 0: not acceptable. */
static int
range_refuses(const char *s, size_t n)
{
	const char *end = s + n, *p = memchr(s, ';', n);

	for (; p != NULL; p = memchr(p, ';', (size_t)(end - p))) {
		p += 1 + strspn(p + 1, " \t");
		if (end - p < 3 || strncasecmp(p, "q=0", 3) != 0)
			continue;
		p += 3 + strspn(p + 3, ".0");
		p += strspn(p, " \t");
		return p >= end || *p == ';';
	}
	return 0;
}

/* The range that names the type most exactly decides. */
int
api_accepts(const struct api_call *c, const char *type)
{
	const char *h = http_header(c->rq, "HTTP_ACCEPT");
	int best = 0, accepts = 0, exact;
	size_t n;

	if (h == NULL || *h == '\0')
		return 1;
	for (; *h != '\0'; h += n + (h[n] == ',')) {
		h += strspn(h, " \t");
		n = strcspn(h, ",");
		exact = range_matches(h, n, type);
		if (exact <= best)
			continue;
		best = exact;
		accepts = !range_refuses(h, n);
	}
	return accepts;
}

/* Of a resource that is a stream and JSON: the latter is wanted. */
static int
prefers_json(const struct api_call *c)
{
	const char *h = http_header(c->rq, "HTTP_ACCEPT");

	return api_accepts(c, "application/json") &&
	       (!api_accepts(c, "text/event-stream") ||
		   (h != NULL && strcasestr(h, "application/json") != NULL));
}

static int
negotiate(struct api_call *c, unsigned flags, struct err *err)
{
	int sse = api_accepts(c, "text/event-stream");
	int json = api_accepts(c, "application/json");

	if ((flags & API_TAR) && api_wants_tar(c))
		return 0;
	if ((flags & API_BOTH) && (json || sse))
		return 0;
	if (flags & API_SSE ? sse : json)
		return 0;
	return err_set(err, ERR_NOT_ACCEPTABLE, "this resource is %s",
	    flags & API_BOTH  ? "text/event-stream or application/json"
	    : flags & API_SSE ? "text/event-stream"
			      : "application/json");
}

/* ---- the body ---- */

static int
check_media_type(const struct api_call *c, struct err *err)
{
	const char *type = http_header(c->rq, "CONTENT_TYPE");
	size_t n;

	n = type == NULL ? 0 : strcspn(type, "; ");
	if (n == 16 && strncasecmp(type, "application/json", n) == 0)
		return 0;
	return err_set(err, ERR_MEDIA_TYPE,
	    "send JSON, with the header Content-Type: application/json");
}

static int
read_json(struct api_call *c, struct err *err)
{
	if (check_media_type(c, err) < 0)
		return -1;
	c->body = json_parse(c->arena, buf_str(&c->rq->body), c->rq->body.len,
	    (int)c->app->conf->limits_json_depth, err);
	if (c->body == NULL) {
		if (strcmp(err->limit, "depth") == 0)
			strcpy(err->limit, "limits.json_depth");
		return -1;
	}
	if (!json_is(c->body, JSON_OBJECT))
		return err_set(
		    err, ERR_INVALID, "the body is JSON, but not an object");
	return 0;
}

int
api_body_str(const struct api_call *c, const char *name, size_t max,
    const char **out_r, struct err *err)
{
	const struct json *j = json_get(c->body, name);

	if (j == NULL || json_is(j, JSON_NULL))
		return 0;
	*out_r = json_str(j);
	if (*out_r == NULL)
		return err_set(err, ERR_INVALID, "%s is not a string", name);
	if (strlen(*out_r) > max)
		return err_set(
		    err, ERR_INVALID, "%s is longer than %zu bytes", name, max);
	return 1;
}

int
api_query_int(const struct api_call *c, const char *name, int64_t min,
    int64_t max, int64_t *out, struct err *err)
{
	const char *s = http_query(c->rq, name);
	char *end;
	int64_t v;

	if (s == NULL)
		return 0;
	v = strtoll(s, &end, 10);
	if (!isdigit((unsigned char)s[*s == '-']) || *end != '\0' || v < min ||
	    v > max)
		return err_set(err, ERR_REQUEST,
		    "%s must be a number from %lld to %lld", name,
		    (long long)min, (long long)max);
	*out = v;
	return 0;
}

int
api_idem_key(const struct api_call *c, const char **key_r, struct err *err)
{
	const char *h = http_header(c->rq, "HTTP_IDEMPOTENCY_KEY");

	*key_r = "";
	if (h == NULL)
		return 0;
	if (*h == '\0' || strlen(h) > IDEM_KEY_MAX)
		return err_set(err, ERR_REQUEST,
		    "Idempotency-Key must have 1 to %d characters",
		    IDEM_KEY_MAX);
	for (const char *p = h; *p != '\0'; p++)
		if (*p < 0x21 || *p > 0x7e)
			return err_set(err, ERR_REQUEST,
			    "Idempotency-Key must be printable ASCII "
			    "without spaces");
	*key_r = h;
	return 0;
}

/* ---- CORS ---- */

int
api_origin_allowed(const char *list, const char *origin)
{
	size_t n, len = strlen(origin);

	for (; *list != '\0'; list += n + (list[n] == ' ')) {
		n = strcspn(list, " ");
		if ((n == 1 && *list == '*') ||
		    (n == len && strncmp(list, origin, n) == 0))
			return 1;
	}
	return 0;
}

static void
add_cors(struct api_call *c)
{
	const char *origin = http_header(c->rq, "HTTP_ORIGIN");

	if (*c->app->conf->cors_origins == '\0')
		return;
	http_header_add(c->rs, "Vary", "Origin");
	if (origin == NULL ||
	    !api_origin_allowed(c->app->conf->cors_origins, origin))
		return;
	http_header_add(c->rs, "Access-Control-Allow-Origin", "%s", origin);
	http_header_add(c->rs, "Access-Control-Expose-Headers",
	    "ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, "
	    "X-Message-Id, X-Request-Id, X-Turn-Id");
}

/* /health is a route of sessions' front ends too. */
static int
is_health(const struct api_call *c)
{
	return strcmp(c->rq->path, "/health") == 0;
}

/* OPTIONS, and with it the question that a browser asks before others. */
static void
answer_options(struct api_call *c, const char *allow)
{
	c->rs->status = 204;
	http_header_add(c->rs, "Allow", "%s", allow);
	if (is_health(c) && *c->app->conf->cors_origins == '\0') {
		sessions_cors(c);
		sessions_options(c);
		return;
	}
	if (http_header(c->rq, "HTTP_ACCESS_CONTROL_REQUEST_METHOD") == NULL)
		return;
	http_header_add(c->rs, "Access-Control-Allow-Methods", "%s", allow);
	http_header_add(c->rs, "Access-Control-Allow-Headers",
	    "Authorization, Content-Type, Idempotency-Key, If-Match, "
	    "Last-Event-ID, Traceparent");
	http_header_add(c->rs, "Access-Control-Max-Age", "600");
}

/* ---- viewers ---- */

int
api_viewer_take(struct api_call *c, struct err *err)
{
	const struct conf *conf = c->app->conf;
	int rc =
	    scoreboard_count_take(c->app->board, c->app->slot, BOARD_VIEWERS,
		c->user, conf->limits_viewers_per_user, conf->limits_viewers);

	if (rc == 0)
		return err_limit(err, ERR_LIMIT, "limits.viewers_per_user",
		    "you have %lld streams open, the most allowed",
		    (long long)conf->limits_viewers_per_user);
	if (rc < 0)
		return err_limit(err, ERR_OVERLOAD, "limits.viewers",
		    "the server has %lld streams open, the most it may",
		    (long long)conf->limits_viewers);
	return 0;
}

/* A viewer whose seat is not counted has one all the same. */
static struct api_seat *
viewer_seat(struct api_call *c)
{
	struct api_seat *seat = c->seat;

	c->seat = NULL;
	if (seat != NULL) {
		limits_hold(seat);
		return seat;
	}
	seat = calloc(1, sizeof(*seat));
	if (seat == NULL)
		abort();
	seat->app = c->app;
	return seat;
}

static void
viewer_gone(void *ctx, const char *user)
{
	struct api_seat *seat = ctx;
	struct app *app = seat->app;

	scoreboard_count_drop(app->board, app->slot, BOARD_VIEWERS, user);
	if (seat->seat.id[0] != '\0')
		seats_leave(app->seats, &seat->seat);
	free(seat);
}

void
api_viewer_drop(struct api_call *c)
{
	scoreboard_count_drop(
	    c->app->board, c->app->slot, BOARD_VIEWERS, c->user);
}

char *
api_answer_text(const struct http_response *rs, const struct http_request *rq)
{
	struct buf text;

	buf_init(&text, NULL);
	http_head(&text, rs, rq);
	buf_add(&text, rs->body.data, rs->body.len);
	return text.data;
}

void
api_viewer_detach(struct api_call *c, struct hub_viewer *spec)
{
	int64_t left_ms;

	api_audit(c, NULL); /* the request is gone afterwards */
	spec->head = api_answer_text(c->rs, c->rq);
	spec->user = strdup(c->user);
	if (spec->user == NULL)
		abort();
	spec->on_gone = viewer_gone;
	spec->ctx = viewer_seat(c);
	if (c->app->conf->events_end_at_expiry) {
		left_ms = c->expires_s * 1000 + c->app->conf->jwt_leeway_ms -
			  clk_wall_ms();
		spec->expires_ms = left_ms > 0 ? left_ms : 1;
	}
	if (*c->jti != '\0')
		revoked_hash(c->jti, spec->token);
	revoked_hash(c->user, spec->owner);
	http_detach(c->rq, &spec->fd, &spec->request_id);
}

void
api_add_docs(struct buf *b, const char *name, const struct store_page *page)
{
	json_open(b, name, '[');
	for (size_t i = 0; i < page->count; i++)
		json_add_raw(b, NULL, page->docs[i], strlen(page->docs[i]));
	json_close(b, ']');
}

/* ---- serving ---- */

static int
authenticate(struct api_call *c, unsigned flags, struct err *err)
{
	if (flags & API_SESSION)
		return api_authenticate_session(
		    c, (flags & API_TICKET) != 0, err);
	if (flags & API_PAGE)
		return api_authenticate_page(c, err);
	return api_authenticate(c, (flags & API_TICKET) != 0, err);
}

/* What comes before the handler. */
static int
prepare(struct api_call *c, const struct http_route *r, struct err *err)
{
	const struct conf *conf = c->app->conf;

	if (http_check_headers(c->rq, (size_t)conf->limits_header_bytes, err) <
	    0)
		return -1;
	c->wants_json = (r->flags & API_BOTH) && prefers_json(c);
	if ((r->flags & API_OPEN) == 0 &&
	    (authenticate(c, r->flags, err) < 0 ||
		api_check_scope(c, r->flags, err) < 0 ||
		limits_check(c, r->flags, err) < 0))
		return -1;
	if (r->flags & API_RAW)
		return http_read_body(
		    c->rq, (size_t)conf->sandbox_max_file_bytes, err);
	if (http_read_body(c->rq, (size_t)conf->limits_body_bytes, err) < 0)
		return -1;
	if ((r->flags & API_ANY) == 0 && negotiate(c, r->flags, err) < 0)
		return -1;
	if ((r->flags & API_JSON) && read_json(c, err) < 0)
		return -1;
	return 0;
}

static int
dispatch(struct api_call *c, struct err *err)
{
	const struct http_route *r;
	char allow[128];
	int session = sessions_path(c->rq->path);

	if ((session || pages_path(c->rq->path)) &&
	    strcmp(c->rq->method, "OPTIONS") == 0) {
		sessions_options(c);
		return 0;
	}
	r = http_route_find(routes, c->rq, allow, sizeof(allow), err);
	if (r == NULL && session) { /* a stranger learns nothing of routes */
		if (api_authenticate_session(c, 0, err) == 0)
			err_set(err, ERR_NOT_FOUND, "there is no such route");
		return -1;
	}
	if (r == NULL && err->code == ERR_METHOD) {
		if (strcmp(c->rq->method, "OPTIONS") == 0) {
			answer_options(c, allow);
			return 0;
		}
		if (is_health(c)) {
			if (*c->app->conf->cors_origins == '\0')
				sessions_cors(c);
			sessions_not_found(c);
			return 0;
		}
		http_header_add(c->rs, "Allow", "%s", allow);
	}
	if (r == NULL)
		return -1;
	c->route = r;
	if (prepare(c, r, err) < 0)
		return -1;
	c->handled = 1;
	return r->handle(c, err);
}

static void
log_failure(const struct api_call *c, const struct err *err)
{
	int status = err_info(err->code)->http_status;

	if (status >= 500)
		log_warn("%s %s: %d %s", c->rq->method, c->rq->path, status,
		    err->text);
	else
		log_info("%s %s: %d %s", c->rq->method, c->rq->path, status,
		    err->text);
}

/* Of which route, how it was answered, and how long it held the thread. */
static void
count_request(const struct api_call *c, int64_t began_us)
{
	char route[128] = "", code[16];

	if (c->route != NULL)
		snprintf(route, sizeof(route), "%s %s", c->route->method,
		    c->route->pattern);
	snprintf(code, sizeof(code), "%dxx", c->rs->status / 100);
	metric_add(METRIC_REQUESTS, metric_value(LABEL_ROUTE, route),
	    metric_value(LABEL_CODE, code), 1);
	metric_observe(METRIC_REQUEST_TIME, 0, clk_mono_us() - began_us);
	metric_add(METRIC_REQUESTS_ACTIVE, 0, 0, -1);
}

void
api_serve(struct app *app, struct FCGX_Request *fcgi)
{
	struct arena *a = arena_open(8192);
	struct http_request rq;
	struct http_response rs;
	struct api_call c = { .app = app,
		.rq = &rq,
		.rs = &rs,
		.arena = a,
		.user = "",
		.tenant = "",
		.jti = "" };
	int64_t began_us = clk_mono_us();
	struct err err;

	metric_add(METRIC_REQUESTS_ACTIVE, 0, 0, 1);
	err_clear(&err);
	http_request_init(&rq, a, fcgi);
	http_response_init(&rs, a);
	log_context_set(rq.id, "", "");
	if (sessions_path(rq.path) || pages_path(rq.path))
		sessions_cors(&c);
	else
		add_cors(&c);
	if (dispatch(&c, &err) < 0) {
		log_failure(&c, &err);
		if (sessions_path(rq.path))
			sessions_problem(&c, &err);
		else if (pages_path(rq.path))
			pages_problem(&c, &err);
		else
			http_problem(&rs, &rq, &err);
		if (rq.sent)
			http_cut(&rq); /* too late to say it */
	}
	if (c.seat != NULL)
		limits_leave(c.seat);
	if (!rq.detached) /* else before that: see api_viewer_detach */
		api_audit(&c, &err);
	if (!rq.detached && !rq.sent)
		http_send(&rq, &rs);
	scoreboard_row(app->board, app->slot)->requests++;
	count_request(&c, began_us);
	log_context_set("", "", "");
	arena_close(&a);
}
