/* SPDX-License-Identifier: MIT */
#ifndef SANDBOX_CLIENT_PRIV_H
#define SANDBOX_CLIENT_PRIV_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "sandbox/channel.h"
#include "sandbox/client.h"

struct arena;
struct conf;
struct fetcher;
struct frame_view;
struct json;
struct loop;
struct loop_timer;
struct sandbox;
struct sandbox_call;

#define SANDBOX_CONNECT_MS 2000 /* for one that is being started again */

/*
 * A way that calls go. Whatever it is, client.c has the list of calls, their
 * deadlines and their ends. All on the loop's thread.
 */
struct sandbox_transport {
	/* Of a new one: 0, or -1 and ERR_CONFIG. Without a loop it only
	 * checks. fini is called after either, when there are no calls. */
	int (*init)(struct sandbox *s, struct err *err);
	void (*fini)(struct sandbox *s);

	/* 0 if calls may be sent, -1 if not now: why is in s->refused. */
	int (*open)(struct sandbox *s);

	/* Sends a call and sets c->sent, unless that fails at once. It ends no
	 * call. */
	void (*send)(struct sandbox *s, struct sandbox_call *c);

	/* After calls were sent. */
	void (*flush)(struct sandbox *s);

	/* A call that was sent is not waited for any more, and is not in the
	 * list: whoever carries it out is told. */
	void (*cancel)(struct sandbox *s, struct sandbox_call *c);
};

extern const struct sandbox_transport sandbox_by_unix, sandbox_by_http;

struct sandbox {
	const struct sandbox_transport *transport;
	struct loop *loop; /* NULL: only checked */
	const struct conf *conf;
	const char *where; /* for messages */
	struct loop_timer *check;
	uint64_t last_id;
	struct sandbox_call *calls;
	char refused[200]; /* why the last try to reach it failed */
	sandbox_missing_f *on_missing;
	void *missing_ctx;

	struct channel channel; /* the unix socket's */

	struct fetcher *fetcher; /* HTTP's */
	struct buf authorization;
};

/* The call of that id, or NULL. */
struct sandbox_call *sandbox_call_find(struct sandbox *s, uint64_t id);

/* Appends its frame. */
void sandbox_call_write(const struct sandbox_call *c, struct buf *out);

/* Ends it. */
void sandbox_call_fail(struct sandbox *s, struct sandbox_call *c,
    enum err_code code, const char *text);

/* Sends what was not sent, if there is somebody to send it to. */
void sandbox_calls_send(struct sandbox *s);

/* A call that was answered is to be sent once more, with all its time. */
void sandbox_call_again(struct sandbox *s, struct sandbox_call *c);

/* 1 if the call is to be carried out only where the workspace is there. */
int sandbox_call_wants_there(
    const struct sandbox *s, const struct sandbox_call *c);

/* 1 its answer says that it is not, and it waits until that is settled. */
int sandbox_call_park(struct sandbox *s, struct sandbox_call *c);

/* An answer, or with more a part of one. */
struct sandbox_answer {
	struct arena *arena; /* to be closed, unless it is taken */
	const struct json *json;
	uint64_t id;
	int more;
};

/* 0, or -1: the frame is none. */
int sandbox_answer_read(struct sandbox_answer *an, const struct frame_view *f);

/* Ends c with it; the data is copied. */
void sandbox_answer_take(struct sandbox *s, struct sandbox_call *c,
    struct sandbox_answer *an, const char *data, size_t len);

#endif
