/* SPDX-License-Identifier: MIT */
#ifndef NET_FETCH_H
#define NET_FETCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct loop;
struct networks;

/*
 * HTTP requests of a process, on its loop, by libcurl's multi interface: one
 * connection cache, HTTP/2 where the server has it. All for the loop's
 * thread. TLS is always verified; redirects are not followed.
 */
struct fetcher;
struct fetch;

#define FETCH_HEADERS_MAX 24

/* What of a response's headers somebody may want to know. */
struct fetch_head {
	int status; /* 0: none came */
	char retry_after[64];
	char retry_after_ms[32];
	char should_retry[8];
	char date[40];
	char hsts[64]; /* Strict-Transport-Security */
	char request_id[128];
	char content_type[64];
	char mcp_session[256]; /* Mcp-Session-Id */
	char cache_control[128];
};

/* How it ended. code is ERR_NONE if a whole response came, of any status. */
struct fetch_end {
	enum err_code code; /* ERR_TIMEOUT, ERR_CANCELLED, ERR_MODEL */
	char text[200];     /* for people, no secret */
	int sent;           /* 0: nothing of the request was */
	struct fetch_head head;
};

struct fetch_spec {
	const char *url;
	const char *headers[FETCH_HEADERS_MAX]; /* "name: value", then NULL */
	const char *method; /* "GET" or "DELETE", without body; "PUT"; NULL:
			     * POST */
	const char *body;   /* must stay until the end */
	size_t body_len;
	const char *head; /* what of the body stands before that; the same */
	size_t head_len;
	const char *ca_file; /* "" the system's */
	const char *proxy;   /* URL; "none"; "" or NULL: the environment's */
	const char *certificate_file, *key_file; /* the client's; "" none */

	/* The request has effects: it is not sent again where curl would do
	 * so by itself, when a connection that was kept turns out dead. */
	int once;

	/* By HTTP/1.1, a connection each: fetch_cancel closes it, which the
	 * server sees at once. By HTTP/2 it may not see it. */
	int alone;

	int tls13; /* no older TLS will do */

	int only_connect; /* TCP and TLS; then it ends, without a request */

	/* Only public addresses and these are connected to, and no proxy is
	 * used; must outlive the fetch. NULL: any, and the environment's
	 * proxy. A fetcher's connections are shared by all its requests. */
	const struct networks *networks;
	int64_t connect_ms, first_byte_ms, idle_ms, total_ms;

	/* The body as it arrives; -1 gives up and ends it with err. */
	int (*on_body)(void *ctx, const struct fetch_head *head,
	    const char *data, size_t len, struct err *err);

	/* Once, and nothing after it; the fetch is gone then. */
	void (*on_end)(void *ctx, const struct fetch_end *end);
	void *ctx;
};

/* The library behind it and its version, as loaded; static. 1 if it has
 * HTTP/2. */
const char *fetch_library(void);
int fetch_has_http2(void);

struct fetcher *fetcher_new(struct loop *l);

/* Cancels what still runs. */
void fetcher_free(struct fetcher **f_p);

/*
 * Starts a request; spec is copied, its strings need to live only during the
 * call, its body until on_end. From within on_body it starts a little later.
 * on_end may come before it returns, then the result is NULL.
 */
struct fetch *fetch_start(struct fetcher *f, const struct fetch_spec *spec);

/* on_body of who does not care what is said. Returns 0. */
int fetch_ignore_body(void *ctx, const struct fetch_head *head,
    const char *data, size_t len, struct err *err);

/*
 * Closes the connection now and calls on_end with ERR_CANCELLED. Not from
 * within on_body.
 */
void fetch_cancel(struct fetch *r);

#endif
