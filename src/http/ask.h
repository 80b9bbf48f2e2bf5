/* SPDX-License-Identifier: MIT */
#ifndef HTTP_ASK_H
#define HTTP_ASK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct loop;

/*
 * A client of a FastCGI pool: requests to its unix socket, as nginx makes
 * them, from an event loop. Each has a connection of its own; what is more
 * than may be at once waits. All for the loop's thread; nothing blocks.
 */
struct asker;
struct ask;

struct asker_limits {
	int64_t timeout_ms; /* of a request, from when it is asked for */
	size_t answer_bytes;
	int at_once, waiting;
};

/* A request. Texts are copied; NULL is none. */
struct ask_spec {
	const char *method, *path; /* as in a URL, escaped */
	const char *query;         /* raw */
	const char *authorization; /* the header */
	const char *remote_addr;   /* of who wants it; NULL: 127.0.0.1 */
	const char *type;          /* Content-Type of the body */
	const char *body;
	size_t body_len;
};

/* What came of it. Only within the callback. */
struct ask_answer {
	int status;       /* 0: there is none, and err says why */
	const char *head; /* "Name: value" and a line end each */
	const char *body; /* a 0 byte follows */
	size_t len;
	struct err err; /* ERR_OVERLOAD: the pool is away, or full.
			 * ERR_TIMEOUT, ERR_TOO_LARGE: of the answer.
			 * ERR_INTERNAL: it was cut, or is none. */
};

typedef void ask_f(void *ctx, const struct ask_answer *answer);

/* path is the pool's socket. */
struct asker *asker_new(
    struct loop *l, const char *path, const struct asker_limits *limits);

/* What is not answered is cancelled. Not from within a callback; the loop has
 * stopped. */
void asker_free(struct asker **k_p);

/*
 * Asks. fn is called once, never from within, unless it is cancelled; the
 * result is for ask_cancel until then.
 */
struct ask *ask_start(
    struct asker *k, const struct ask_spec *spec, ask_f *fn, void *ctx);

/* fn will not be called. What the pool has begun it goes on with. */
void ask_cancel(struct ask **q_p);

#endif
