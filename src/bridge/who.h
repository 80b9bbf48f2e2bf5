/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_WHO_H
#define BRIDGE_WHO_H

#include <stdint.h>

struct asker;

/*
 * Who a client is. The gateway looks into no token, key or ticket: it asks the
 * pool (GET /api/whoami) in the client's name. For the loop's thread.
 */
struct who;

enum who_verdict {
	WHO_KNOWN,
	WHO_REFUSED, /* what was shown is not good */
	WHO_UNSAID   /* the pool is away, or full */
};

/* As the pool says it. */
struct who_is {
	const char *user;
	const char *token; /* a hash of its token's name; "": it has none */
	int64_t expires_s; /* 0: never */
};

/* is, of WHO_KNOWN, only within the call. */
typedef void who_f(
    void *ctx, enum who_verdict verdict, const struct who_is *is);

struct who_spec {
	const char *authorization; /* of who_header, or NULL */
	const char *ticket;        /* or NULL */
	const char *address;       /* NULL: not known */
};

/* fn is called once, never from within, unless it is cancelled. */
struct who *who_ask(
    struct asker *k, const struct who_spec *spec, who_f *fn, void *ctx);
void who_cancel(struct who **w_p);

/*
 * What a client shows ("Bearer X" or "X") as the header Authorization, to be
 * freed. NULL: it shows nothing, or nothing that can stand in a header.
 */
char *who_header(const char *shown);

#endif
