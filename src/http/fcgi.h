/* SPDX-License-Identifier: MIT */
#ifndef HTTP_FCGI_H
#define HTTP_FCGI_H

#include <stddef.h>

struct buf;

/*
 * FastCGI records (FastCGI 1.0, sections 3.3 and 5). Of a response: for
 * requests that libfcgi no longer knows of.
 */

/* data as FCGI_STDOUT; in several records if it is longer than 65,535. */
void fcgi_put_stdout(
    struct buf *b, int request_id, const void *data, size_t len);

/* The end of STDOUT and of the request. */
void fcgi_put_end(struct buf *b, int request_id);

/* ---- the other side ---- */

#define FCGI_PARAMS_MAX 65535 /* of a request, names and values; one record */

/* A parameter of a request: as nginx's fastcgi_param. */
void fcgi_put_param(struct buf *params, const char *name, const char *value);

/*
 * A request with these parameters, at most FCGI_PARAMS_MAX bytes, and a body.
 * The connection is closed by the other side when it is answered.
 */
void fcgi_put_request(struct buf *b, int request_id, const struct buf *params,
    const void *body, size_t len);

enum fcgi_kind { FCGI_KIND_STDOUT, FCGI_KIND_END, FCGI_KIND_OTHER };

/* data points into what was read. */
struct fcgi_record {
	enum fcgi_kind kind;
	int request_id;
	const char *data;
	size_t len;
	size_t size; /* of all of it */
};

/* 1 and the first record of len bytes, 0 it is not whole yet, -1 it is none. */
int fcgi_read(const char *p, size_t len, struct fcgi_record *out);

#endif
