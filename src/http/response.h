/* SPDX-License-Identifier: MIT */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include "base/buf.h"
#include "base/err.h"

struct arena;
struct http_request;

/* A response under construction; all of it is the arena's. */
struct http_response {
	int status;
	const char *type;   /* Content-Type, or NULL for none */
	struct buf headers; /* "Name: value\r\n" each */
	struct buf body;
};

void http_response_init(struct http_response *rs, struct arena *a);
void http_header_add(struct http_response *rs, const char *name,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same for a list (RFC 9110 section 5.3): value goes behind what the header
 * of that name has, if there is one. */
void http_header_join(
    struct http_response *rs, const char *name, const char *value);

/* A JSON body, started by the caller in rs->body. */
void http_json(struct http_response *rs, int status);

/*
 * The problem document (RFC 9457) of an error, with the member error beside;
 * ERR_FORBIDDEN is only {"error":"Forbidden"}, whatever the reason was.
 */
void http_problem(struct http_response *rs, const struct http_request *rq,
    const struct err *err);

/* The head of the response as CGI has it, with the empty line. */
void http_head(struct buf *out, const struct http_response *rs,
    const struct http_request *rq);

/* Writes it through libfcgi. Blocks for nginx. HEAD gets no body. */
void http_send(struct http_request *rq, struct http_response *rs);

/*
 * The same for a body whose length is not known: its head, then parts of the
 * body as they come; with HEAD there are none. Both block for nginx. 0, or -1:
 * the client left.
 */
int http_send_head(struct http_request *rq, struct http_response *rs);
int http_send_part(struct http_request *rq, const char *p, size_t len);

#endif
