/* SPDX-License-Identifier: MIT */
/*
 * Requests with made-up variables, a NAME=value in each line of the input, as
 * nginx would pass what a stranger sent: paths, queries, ids, Accept, and
 * heads of responses in which they come back.
 */
#include "config.h"

#include <fcgiapp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_priv.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/trace.h"
#include "http/request.h"
#include "http/response.h"
#include "http/route.h"

#define VARIABLES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_route routes[] = {
	{ "GET", "/api/agents", NULL, 0 },
	{ "GET", "/api/agents/:id", NULL, 0 },
	{ "POST", "/api/agents/:id/messages/:message", NULL, 0 },
	{ NULL, NULL, NULL, 0 },
};

static void
must(int condition)
{
	if (!condition)
		abort();
}

/* The lines of text as an environment. */
static char **
envp_make(struct arena *a, char *text)
{
	char **envp = arena_alloc(a, (VARIABLES_MAX + 1) * sizeof(*envp));
	int n = 0;

	while (*text != '\0' && n < VARIABLES_MAX) {
		envp[n++] = text;
		text += strcspn(text, "\n");
		if (*text == '\n')
			*text++ = '\0';
	}
	return envp;
}

/* Every byte of a decoded path as %XX decodes to the path. */
static void
check_path(struct arena *a, const char *path)
{
	char *envp[2] = { NULL, NULL };
	FCGX_Request fcgi = { .envp = envp };
	struct http_request rq;
	struct buf b;

	buf_init(&b, a);
	buf_puts(&b, "REQUEST_URI=");
	for (const char *p = path; *p != '\0'; p++)
		buf_printf(&b, "%%%02x", (unsigned char)*p);
	buf_puts(&b, "?%");
	envp[0] = b.data;
	http_request_init(&rq, a, &fcgi);
	must(strcmp(rq.path, path) == 0);
	must(strncmp(rq.id, "req_", 4) == 0);
}

static void
check_query(const struct http_request *rq)
{
	static const char *const names[] = { "a", "after", "ticket", "" };

	for (int i = 0; i < 4; i++) {
		const char *v = http_query(rq, names[i]);

		must(v == NULL || strlen(v) <= strlen(rq->query));
		must(v == NULL || strstr(rq->query, names[i]) != NULL);
	}
}

static void
check_route(struct http_request *rq)
{
	struct err err = { 0 };
	char allow[80];
	const struct http_route *r =
	    http_route_find(routes, rq, allow, sizeof(allow), &err);

	must(r != NULL || err.code == ERR_NOT_FOUND || err.code == ERR_METHOD);
	if (r == &routes[1] || r == &routes[2])
		must(strchr(rq->param[0], '/') == NULL && *rq->param[0] != 0);
}

/* Whatever is said in a head, it is lines of ours, and an empty one. */
static void
check_head(struct arena *a, const struct http_request *rq)
{
	struct err err = { 0 };
	struct http_response rs;
	struct buf out;
	int lines = 0;

	err_limit(&err, ERR_UNAUTHORIZED, "x", "%s", rq->path);
	http_response_init(&rs, a);
	http_problem(&rs, rq, &err);
	must(json_utf8_whole(rs.body.data, rs.body.len) < rs.body.len ||
	     json_check(rs.body.data, rs.body.len, 2, NULL) == 0);
	http_header_add(&rs, "Location", "%s", rq->path);
	buf_init(&out, a);
	http_head(&out, &rs, rq);
	for (const char *p = buf_str(&out); *p != '\0'; p++) {
		must((*p == '\r') == (p[1] == '\n'));
		lines += *p == '\n';
	}
	must(lines == 7);
	must(strcmp(out.data + out.len - 4, "\r\n\r\n") == 0);
}

/* What is accepted first stays accepted, whatever follows. */
static void
check_accept(struct arena *a, struct http_request *rq)
{
	static const char type[] = "text/event-stream";
	struct api_call c = { .rq = rq, .arena = a };
	const char *h = http_header(rq, "HTTP_ACCEPT");
	char *envp[2] = { arena_printf(
			      a, "HTTP_ACCEPT=%s,%s", type, h == NULL ? "" : h),
		NULL };
	char **before = rq->fcgi->envp;

	must(h != NULL || api_accepts(&c, type));
	api_accepts(&c, "application/json");
	rq->fcgi->envp = envp;
	must(api_accepts(&c, type));
	rq->fcgi->envp = before;
}

/* A traceparent is one, and what is made of it says the same, or it is none. */
static void
check_trace(const struct http_request *rq)
{
	const char *h = http_header(rq, "HTTP_TRACEPARENT");
	struct trace_context c, again;
	char text[TRACE_SIZE];
	int rc = trace_parse(h == NULL ? "" : h, &c);

	trace_print(text, &c);
	must((rc == 0) == (strlen(text) == TRACE_SIZE - 1));
	must((rc == 0) == (c.trace[0] != '\0'));
	if (rc < 0)
		return;
	must(strncmp(text + 2, h + 2, TRACE_SIZE - 3) == 0);
	must(trace_parse(text, &again) == 0);
	must(strcmp(again.trace, c.trace) == 0 && again.flags == c.flags);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_open(16384);
	char *text = arena_memdup(a, data, size);
	FCGX_Request fcgi = { .envp = envp_make(a, text) };
	struct http_request rq;
	struct err err = { 0 };

	http_request_init(&rq, a, &fcgi);
	must(*rq.id != '\0' && strlen(rq.id) <= 64);
	must(strpbrk(rq.id, "\r\n \"\\") == NULL);
	must(http_check_headers(&rq, size, &err) == 0);
	check_path(a, rq.path);
	check_query(&rq);
	check_route(&rq);
	check_head(a, &rq);
	check_accept(a, &rq);
	check_trace(&rq);
	arena_close(&a);
	return 0;
}
