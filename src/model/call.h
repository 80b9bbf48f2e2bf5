/* SPDX-License-Identifier: MIT */
#ifndef MODEL_CALL_H
#define MODEL_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

struct conf;
struct fetcher;
struct loop;

/*
 * Calling a model. The configured provider is a row of a table; a call runs
 * on the loop, shows text as it arrives, and ends once.
 */
struct models;
struct model_call;

#define MODEL_TAIL 4

/* One request. All of it must stay until on_end. */
struct model_request {
	const char *model;      /* "" the configured one */
	const char *system;     /* the system prompt, or "" */
	const char *request_id; /* goes along as x-request-id, or "" */
	const char *tools;      /* JSON array of what it may call, or "" */
	const char *extra; /* text behind the last message, for this request
			      alone, or "" */

	/*
	 * {"messages":[...  with all messages, without ]. The provider puts
	 * the rest of its body behind it and may change its last MODEL_TAIL
	 * bytes; whoever owns the buffer puts it right again.
	 */
	struct buf *messages;

	struct model_sink sink;
	void (*on_end)(void *ctx, struct model_call *call);
	void *ctx;
};

/* NULL and ERR_CONFIG if the provider cannot be used as configured. */
struct models *models_new(
    struct loop *l, struct fetcher *f, const struct conf *c, struct err *err);
void models_free(struct models **m_p);

/* Starts a call. The loop's thread; on_end may come before it returns. */
struct model_call *model_call_start(
    struct models *m, const struct model_request *rq);

/*
 * Stops it: the connection is closed, the result holds what has come. on_end
 * is called before this returns. Nothing if it has ended already.
 */
void model_call_cancel(struct model_call *c);

/* What came of it; valid from on_end until the call is freed. */
struct model_result *model_call_result(struct model_call *c);

/* After on_end, any thread. */
void model_call_free(struct model_call **c_p);

#endif
