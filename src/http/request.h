/* SPDX-License-Identifier: MIT */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct arena;
struct FCGX_Request;

#define HTTP_PATH_PARAMS 2

/* A request as nginx hands it over by FastCGI. Strings are the arena's. */
struct http_request {
	struct arena *arena;
	struct FCGX_Request *fcgi;
	const char *method;
	const char *path;  /* decoded, without the query */
	const char *query; /* raw, "" if there is none */
	const char *id;    /* nginx's $request_id, or one of our own */
	const char *param[HTTP_PATH_PARAMS]; /* what :name matched */
	struct buf body;
	int sent; /* the response was, or its begin */
	int detached;
};

/* Fills rq from what libfcgi has read. Does not read the body. */
void http_request_init(
    struct http_request *rq, struct arena *a, struct FCGX_Request *fcgi);

/* A header by its CGI name (HTTP_ACCEPT), or NULL. libfcgi's: valid until the
 * request is detached. */
const char *http_header(const struct http_request *rq, const char *name);

/* The value of a query member, decoded; NULL if it is not there. */
const char *http_query(const struct http_request *rq, const char *name);

/*
 * 1 if list, an If-Match, has the entity tag (which is without its quotes):
 * RFC 9110, section 13.1.1, by strong comparison. What is no list has none.
 */
int http_etag_listed(const char *list, const char *etag);

/*
 * Reads the body to its end, at most max bytes. ERR_TOO_LARGE beyond,
 * ERR_REQUEST if it is cut short. Blocks for nginx, which has it whole.
 */
int http_read_body(struct http_request *rq, size_t max, struct err *err);

/* ERR_TOO_LARGE if any header is longer than max. */
int http_check_headers(
    const struct http_request *rq, size_t max, struct err *err);

/*
 * Takes the connection away from libfcgi: the descriptor is the caller's, and
 * so is the rest of the response, as FastCGI records of request_id_r. The
 * body must have been read to its end. rq's own strings stay; headers are gone.
 */
void http_detach(struct http_request *rq, int *fd_r, int *request_id_r);

/*
 * Breaks the connection in the middle of a response, so that nginx and the
 * client see that the rest is missing. The body must have been read.
 */
void http_cut(struct http_request *rq);

#endif
