/* SPDX-License-Identifier: MIT */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

#define HTTP_HEAD_MAX 65536

enum http_part {
	HTTP_HEAD,      /* start line and header */
	HTTP_LENGTH,    /* a body of known length */
	HTTP_UNTIL_EOF, /* a response without length */
	HTTP_SIZE,      /* the line before a chunk */
	HTTP_CHUNK,
	HTTP_CHUNK_END, /* the line end after a chunk */
	HTTP_TRAILER,
	HTTP_DONE
};

/* Reads one HTTP/1.x message, request or response, as its bytes arrive. */
struct http {
	struct buf head; /* start line and header, once past HTTP_HEAD whole */
	enum http_part part;
	int request;
	int status;    /* of a response */
	int keep;      /* the connection may be used again after it */
	int expect;    /* the peer waits for "100 Continue" */
	int digits;    /* HTTP_SIZE: hex digits seen; -1: past them */
	uint64_t left; /* of this chunk or body; HTTP_TRAILER: this line */
};

/* Gets body bytes, without chunk framing. 0, or -1 to give the message up. */
typedef int http_body_f(void *arg, const char *p, size_t len);

/* Ready for the next message; the memory of the header is kept. */
void http_reset(struct http *h, int request);
void http_fini(struct http *h);

/*
 * Takes bytes up to the end of the message at most: h->part is then
 * HTTP_DONE. Returns how many it took; -1 if this is not HTTP, the header is
 * over HTTP_HEAD_MAX, or the body function gave up.
 */
ssize_t http_feed(
    struct http *h, const char *p, size_t len, http_body_f *fn, void *arg);

/* A header's value, not terminated, NULL if it is not there. */
const char *http_header(const struct http *h, const char *name, size_t *len_r);

#endif
