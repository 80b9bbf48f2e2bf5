/* SPDX-License-Identifier: MIT */
#ifndef NET_WEBHOOK_H
#define NET_WEBHOOK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct arena;
struct conf;
struct fetcher;
struct loop;

/*
 * Signed JSON requests to the site's own services, by the Standard Webhooks
 * specification (1.0): webhook-id, webhook-timestamp, and webhook-signature,
 * "v1," and the base64 of the HMAC-SHA256 of ID.TIMESTAMP.BODY. The id goes
 * along as Idempotency-Key too: a request that is sent twice has the same.
 * They go to addresses that are public or configured, without a proxy, and
 * follow no redirect. All for the loop's thread.
 */
struct webhooks;

/*
 * NULL and ERR_CONFIG if the secret or the networks are no good, or if there
 * is no secret and needed says that one is. l NULL: only to check that.
 */
struct webhooks *webhooks_new(
    struct loop *l, const struct conf *c, int needed, struct err *err);

/* Cancels what still runs. */
void webhooks_free(struct webhooks **w_p);

/* Why a URL cannot be one. 0, or -1 and ERR_CONFIG. */
int webhook_url_check(const char *url, struct err *err);

struct webhook {
	/* Set by whoever starts it; must stay until its end. */
	struct arena *arena;
	const char *url;
	const char *id;
	const char *traceparent; /* goes along; NULL or "": none */
	const char *body;        /* JSON */
	size_t len;
	int64_t timeout_ms;
	size_t max_bytes; /* of the answer */
	void (*on_end)(void *ctx, struct webhook *w);
	void *ctx;

	/* How it ended: ERR_NONE for an answer of any status. */
	struct err err;
	int status;
	struct buf answer; /* the arena's */

	struct fetch *fetch; /* its own */
};

/* on_end comes once, perhaps before this returns. */
void webhook_start(struct webhooks *hooks, struct webhook *w);

/* Closes the connection; on_end comes with ERR_CANCELLED. */
void webhook_cancel(struct webhook *w);

#endif
