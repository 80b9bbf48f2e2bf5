/* SPDX-License-Identifier: MIT */
#ifndef PROXYD_REQUEST_H
#define PROXYD_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "sandbox/hosts.h"

struct arena;
struct err;

#define REQUEST_HEAD_MAX 16384 /* bytes, with the empty line at its end */
#define REQUEST_HEADERS_MAX 128

/* What a command asks of the proxy (RFC 9110 section 7.6.1, RFC 9112). */
struct request {
	struct host to;    /* with a port */
	int is_tunnel;     /* CONNECT */
	size_t head_bytes; /* of the input, up to the body */
	struct buf head;   /* else: what the origin gets instead, the arena's */
	int64_t body_bytes; /* and how much follows it */
};

/*
 * The head of a request that the len bytes at p begin with: CONNECT
 * HOST:PORT, or any method with a URL http://HOST[:PORT]/... and no body or
 * one with Content-Length. 1, 0 if it is not whole yet, or -1 and
 * ERR_REQUEST: nonsense; ERR_TOO_LARGE: over a bound; ERR_INVALID: a body of
 * another form.
 */
int request_read(struct arena *a, const char *p, size_t len,
    struct request *out, struct err *err);

#endif
