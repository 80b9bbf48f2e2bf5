/* SPDX-License-Identifier: MIT */
/* Calls of whichever model: the common beginning and end. */
#include "config.h"

#include "model/call.h"
#include "model/provider.h"

struct model_call *
model_call_start(const struct model_request *rq)
{
	const struct model *m = rq->model;
	struct model_call *c = m->engine->call_new(m, rq);

	c->model = m;
	c->rq = rq;
	m->engine->start(c);
	return c;
}

void
model_call_end(struct model_call *c)
{
	c->ended = 1;
	c->rq->on_end(c->rq->ctx, c);
}

void
model_call_cancel(struct model_call *c)
{
	if (!c->ended)
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
