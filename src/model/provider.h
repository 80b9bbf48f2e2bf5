/* SPDX-License-Identifier: MIT */
#ifndef MODEL_PROVIDER_H
#define MODEL_PROVIDER_H

#include "base/buf.h"
#include "model/call.h"
#include "model/profile.h"
#include "model/wire.h"

struct script;

/* A model of the configuration. */
struct model {
	struct models *models;
	const struct conf_model *conf;
	const struct model_profile *profile;
	const struct model_engine *engine;
	struct wire_model on_wire;
	const char *by;                  /* see model_by */
	char *url;                       /* of a call */
	struct buf key_header;           /* "name: value", or empty */
	struct script *script;           /* scenarios, of the script engine */
	struct board_endpoint *endpoint; /* its breaker, or NULL */
	const struct model **fallback;
	size_t fallback_count;
};

/* What all calls of a process share. */
struct models {
	const struct conf *conf;
	struct arena *arena;
	struct loop *loop;
	struct fetcher *fetcher;
	struct model *model; /* the first is [model] */
	size_t count;
};

/* A call under way. An engine's own struct begins with it. */
struct model_call {
	const struct model *model;
	const struct model_request *rq;
	int ended;
	int cancelled; /* by its owner */
	struct model_times times;
};

/* How a model is called: over HTTP, or by scenarios. */
struct model_engine {
	/* A new call; nothing has been sent. */
	struct model_call *(*call_new)(
	    const struct model *m, const struct model_request *rq);

	/* Starts it; ends with model_call_end. */
	void (*start)(struct model_call *c);

	/* Stops what is under way and makes the result of what has come. */
	void (*cancel)(struct model_call *c);
	struct model_result *(*result)(struct model_call *c);
	void (*call_free)(struct model_call *c);
};

extern const struct model_engine engine_http;
extern const struct model_engine engine_script;

/* Something of the answer has come. */
void model_call_heard(struct model_call *c);

/* Tells the owner, once. The engine's, when nothing more will come and
 * result->request_id is what the header said, or "". */
void model_call_end(struct model_call *c);

#endif
