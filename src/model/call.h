/* SPDX-License-Identifier: MIT */
#ifndef MODEL_CALL_H
#define MODEL_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

struct conf;
struct conf_model;
struct fetcher;
struct loop;

/*
 * Calling a model. Those that are configured are rows of a table; a call runs
 * on the loop, shows text as it arrives, and ends once.
 */
struct models;
struct model;
struct model_call;
struct model_wire;
struct wire_model;

#define MODEL_TAIL 4

/* One request. All of it must stay until on_end. */
struct model_request {
	const struct model *model;
	const char *system;      /* the system prompt, or "" */
	const char *request_id;  /* goes along as x-request-id, or "" */
	const char *traceparent; /* the same; "" or NULL: none */
	const char *tools;       /* what it may call, as the model's wire made
				    it, or "" */
	const char *tool_choice; /* see struct wire_request */
	const char *schema;
	int64_t
	    max_tokens;    /* of the answer; 0: the model's, and its thinking */
	const char *extra; /* text behind the last message, for this request
			      alone, or "" */

	/*
	 * All messages, in the form of the model's wire, how many entries that
	 * are, and what it knows of the last of them. The rest of the body is
	 * put behind them and may change the last MODEL_TAIL bytes; whoever
	 * owns the buffer puts it right again.
	 */
	struct buf *messages;
	int64_t message_count;
	unsigned round; /* see struct wire_text */

	struct model_sink sink;
	void (*on_end)(void *ctx, struct model_call *call);
	void *ctx;
};

/* Of a call, monotonic. */
struct model_times {
	int64_t began_us;
	int64_t heard_us; /* the first byte of the answer; 0: none came */
	int64_t ended_us;
};

/*
 * The models of the configuration, with their keys. NULL and ERR_CONFIG if
 * one cannot be used as configured. l and f may be NULL where nothing is
 * called.
 */
struct models *models_new(
    struct loop *l, struct fetcher *f, const struct conf *c, struct err *err);
void models_free(struct models **m_p);

/* Lets their breakers be the pool's; before the first call. */
struct scoreboard;
void models_share(struct models *m, struct scoreboard *board);

/* By its name in the configuration; "" is the default. NULL: there is none. */
const struct model *models_find(const struct models *m, const char *name);

/* The one at i, in the configuration's order, [model] first; or NULL. */
const struct model *models_at(const struct models *m, size_t i);

/* The i-th that is tried when this one fails, or NULL. */
const struct model *model_fallback(const struct model *m, size_t i);

const struct conf_model *model_conf(const struct model *m);
const struct model_wire *model_wire_of(const struct model *m);
const struct wire_model *model_on_wire(const struct model *m);
const char *model_provider(const struct model *m);
const char *model_url(const struct model *m);

/* What a call with that usage costs, in billionths of a unit of money; -1 if
 * no price is configured. What the provider did not say counts nothing. */
int64_t model_cost(const struct model *m, const struct model_usage *u);

/* "API:ID", which the history has beside what the model said. */
const char *model_by(const struct model *m);

/* Starts a call. The loop's thread; on_end may come before it returns. */
struct model_call *model_call_start(const struct model_request *rq);

/*
 * Stops it: the connection is closed, the result holds what has come. on_end
 * is called before this returns. Nothing if it has ended already.
 */
void model_call_cancel(struct model_call *c);

/* What came of it; valid from on_end until the call is freed. */
struct model_result *model_call_result(struct model_call *c);

/* "ok", "cancelled", or the class of its failure; from on_end on. */
const char *model_call_outcome(struct model_call *c);

/* Which model was called. */
const struct model *model_call_model(const struct model_call *c);

/* When it was what; valid from on_end until the call is freed. */
const struct model_times *model_call_times(const struct model_call *c);

/* After on_end, any thread. */
void model_call_free(struct model_call **c_p);

#endif
