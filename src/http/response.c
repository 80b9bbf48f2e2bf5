/* SPDX-License-Identifier: MIT */
/* Responses: CGI heads, JSON, problem documents. */
#include "config.h"

#include <fcgiapp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "http/request.h"
#include "http/response.h"

void
http_response_init(struct http_response *rs, struct arena *a)
{
	memset(rs, 0, sizeof(*rs));
	rs->status = 200;
	buf_init(&rs->headers, a);
	buf_init(&rs->body, a);
}

void
http_header_add(
    struct http_response *rs, const char *name, const char *fmt, ...)
{
	char value[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	for (char *p = value; *p != '\0'; p++)
		if (*p == '\r' || *p == '\n')
			*p = ' ';
	buf_printf(&rs->headers, "%s: %s\r\n", name, value);
}

/* Where the line of a header ends, or NULL. */
static const char *
header_end(const struct http_response *rs, const char *name)
{
	size_t n = strlen(name);
	const char *line = buf_str(&rs->headers), *end;

	for (; (end = strstr(line, "\r\n")) != NULL; line = end + 2)
		if (strncmp(line, name, n) == 0 && line[n] == ':')
			return end;
	return NULL;
}

void
http_header_join(struct http_response *rs, const char *name, const char *value)
{
	const char *end = header_end(rs, name);
	struct buf rest;

	if (end == NULL) {
		http_header_add(rs, name, "%s", value);
		return;
	}
	buf_init(&rest, NULL);
	buf_printf(&rest, ", %s%s", value, end);
	rs->headers.len = (size_t)(end - rs->headers.data);
	buf_add(&rs->headers, rest.data, rest.len);
	buf_fini(&rest);
}

void
http_json(struct http_response *rs, int status)
{
	rs->status = status;
	rs->type = "application/json";
}

static void
problem_body(
    struct buf *b, const struct http_request *rq, const struct err *err)
{
	const struct err_info *info = err_info(err->code);

	buf_putc(b, '{');
	if (err->code == ERR_FORBIDDEN) {
		json_add_str(b, "error", "Forbidden");
		buf_putc(b, '}');
		return;
	}
	json_add_str(b, "type", "about:blank");
	json_add_str(b, "title", info->title);
	json_add_int(b, "status", info->http_status);
	json_add_str(b, "error", info->type);
	json_add_str(b, "detail", err->text);
	if (err->limit[0] != '\0')
		json_add_str(b, "limit", err->limit);
	json_add_str(b, "requestId", rq->id);
	buf_putc(b, '}');
}

/* RFC 6750, section 3; a quoted string holds no quote. */
static void
add_challenge(
    struct http_response *rs, const struct http_request *rq, const char *why)
{
	char *text = arena_strdup(rq->arena, why);

	for (char *p = text; *p != '\0'; p++)
		if (*p == '"' || *p == '\\')
			*p = '\'';
	http_header_add(rs, "WWW-Authenticate",
	    "Bearer realm=\"agent-fpm\", error=\"invalid_token\", "
	    "error_description=\"%s\"",
	    text);
}

void
http_problem(struct http_response *rs, const struct http_request *rq,
    const struct err *err)
{
	buf_clear(&rs->body);
	rs->status = err_info(err->code)->http_status;
	rs->type = "application/problem+json";
	problem_body(&rs->body, rq, err);
	if (err->retry_after_s > 0)
		http_header_add(rs, "Retry-After", "%d", err->retry_after_s);
	if (err->code == ERR_UNAUTHORIZED)
		add_challenge(rs, rq, err->text);
}

/* Of RFC 9110; nginx sends the line on as it gets it. */
static const char *
reason_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 409, "Conflict" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Status";
}

void
http_head(struct buf *out, const struct http_response *rs,
    const struct http_request *rq)
{
	buf_printf(
	    out, "Status: %d %s\r\n", rs->status, reason_phrase(rs->status));
	if (rs->type != NULL)
		buf_printf(out, "Content-Type: %s\r\n", rs->type);
	buf_printf(out, "X-Request-Id: %s\r\n", rq->id);
	buf_add(out, rs->headers.data, rs->headers.len);
	buf_lit(out, "\r\n");
}

void
http_send(struct http_request *rq, struct http_response *rs)
{
	struct buf out;

	if (rs->status != 204)
		http_header_add(rs, "Content-Length", "%zu", rs->body.len);
	http_header_add(rs, "Cache-Control", "no-store");
	buf_init(&out, rq->arena);
	http_head(&out, rs, rq);
	if (strcmp(rq->method, "HEAD") != 0)
		buf_add(&out, rs->body.data, rs->body.len);
	/* A client that left is no error of ours. */
	FCGX_PutStr(out.data, (int)out.len, rq->fcgi->out);
}

int
http_send_head(struct http_request *rq, struct http_response *rs)
{
	struct buf out;

	http_header_add(rs, "Cache-Control", "no-store");
	buf_init(&out, rq->arena);
	http_head(&out, rs, rq);
	rq->sent = 1;
	return http_send_part(rq, out.data, out.len);
}

int
http_send_part(struct http_request *rq, const char *p, size_t len)
{
	return FCGX_PutStr(p, (int)len, rq->fcgi->out) < 0 ||
		       FCGX_FFlush(rq->fcgi->out) < 0
		   ? -1
		   : 0;
}
