/* SPDX-License-Identifier: MIT */
#ifndef MODEL_PROVIDER_H
#define MODEL_PROVIDER_H

#include "model/call.h"

struct script;

/* What all providers of a process share. */
struct models {
	const struct model_provider *provider;
	const struct conf *conf;
	struct loop *loop;
	struct fetcher *fetcher;
	struct buf api_key;    /* the header "x-api-key: ..." */
	struct script *script; /* scenarios, of the script provider */
};

/* A call under way. A provider's own struct begins with it. */
struct model_call {
	struct models *models;
	const struct model_request *rq;
	int ended;
};

/* A provider: a row of the table in call.c. */
struct model_provider {
	const char *name;

	/* Checks the configuration and reads what it needs. 0 or -1. */
	int (*init)(struct models *m, struct err *err);
	void (*fini)(struct models *m);

	/* A new call; nothing has been sent. */
	struct model_call *(*call_new)(
	    struct models *m, const struct model_request *rq);

	/* Starts it; ends with model_call_end. */
	void (*start)(struct model_call *c);

	/* Stops what is under way and makes the result of what has come. */
	void (*cancel)(struct model_call *c);
	struct model_result *(*result)(struct model_call *c);
	void (*call_free)(struct model_call *c);
};

extern const struct model_provider model_anthropic;
extern const struct model_provider model_script;

/* Tells the owner, once. The provider's, when nothing more will come. */
void model_call_end(struct model_call *c);

#endif
