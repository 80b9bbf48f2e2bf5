/* SPDX-License-Identifier: MIT */
/* Calls of whichever model: the common beginning and end. */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "model/call.h"
#include "model/provider.h"

struct model_call *
model_call_start(const struct model_request *rq)
{
	const struct model *m = rq->model;
	struct model_call *c = m->engine->call_new(m, rq);

	c->model = m;
	c->rq = rq;
	c->times.began_us = clk_mono_us();
	m->engine->start(c);
	return c;
}

/* The header's request id, or what a body or an event has said; and no key,
 * whatever it looks like. */
static void
failure_finish(struct model_result *r, const struct buf *key)
{
	struct model_failure *f = &r->failure;

	if (!f->failed)
		return;
	if (r->request_id[0] == '\0')
		strcpy(r->request_id, f->request_id);
	strcpy(f->request_id, r->request_id);
	model_failure_hide(f, buf_str(key));
}

static void
count_tokens(int model, const struct model_usage *u)
{
	const int64_t count[] = { u->input, u->output, u->cached,
		u->cache_write, u->reasoning }; /* as LABEL_TOKENS has them */

	for (int i = 0; i < (int)(sizeof(count) / sizeof(count[0])); i++)
		if (count[i] > 0)
			metric_add(METRIC_MODEL_TOKENS, model, i, count[i]);
}

const char *
model_call_outcome(struct model_call *c)
{
	const struct model_failure *f = &model_call_result(c)->failure;

	if (c->cancelled)
		return "cancelled";
	return f->failed ? model_class_name(f->kind) : "ok";
}

static void
count_call(struct model_call *c)
{
	const struct model_times *t = &c->times;
	const struct model_result *r = model_call_result(c);
	int model = metric_value(LABEL_MODEL, model_conf(c->model)->label);
	int outcome = metric_value(LABEL_OUTCOME, model_call_outcome(c));

	metric_add(METRIC_MODEL_REQUESTS, model, outcome, 1);
	metric_observe(METRIC_MODEL_TIME, model, t->ended_us - t->began_us);
	if (t->heard_us != 0)
		metric_observe(
		    METRIC_MODEL_FIRST_BYTE, model, t->heard_us - t->began_us);
	count_tokens(model, &r->usage);
}

void
model_call_heard(struct model_call *c)
{
	if (c->times.heard_us == 0)
		c->times.heard_us = clk_mono_us();
}

const struct model *
model_call_model(const struct model_call *c)
{
	return c->model;
}

const struct model_times *
model_call_times(const struct model_call *c)
{
	return &c->times;
}

void
model_call_end(struct model_call *c)
{
	c->ended = 1;
	c->times.ended_us = clk_mono_us();
	failure_finish(model_call_result(c), &c->model->key_header);
	count_call(c);
	c->rq->on_end(c->rq->ctx, c);
}

void
model_call_cancel(struct model_call *c)
{
	if (c->ended)
		return;
	c->cancelled = 1;
	c->model->engine->cancel(c);
}

struct model_result *
model_call_result(struct model_call *c)
{
	return c->model->engine->result(c);
}

void
model_call_free(struct model_call **c_p)
{
	struct model_call *c = *c_p;

	if (c == NULL)
		return;
	*c_p = NULL;
	c->model->engine->call_free(c);
}
