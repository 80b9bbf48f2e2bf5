/* SPDX-License-Identifier: MIT */
/* Calls of whichever model: the common beginning and end. */
#include "config.h"

#include <string.h>

#include "base/buf.h"
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

void
model_call_end(struct model_call *c)
{
	c->ended = 1;
	failure_finish(model_call_result(c), &c->model->key_header);
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
