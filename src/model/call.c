/* SPDX-License-Identifier: MIT */
/* Calls of whichever provider is configured: the table and the common end. */
#include "config.h"

#include <stdlib.h>

#include "conf/conf.h"
#include "model/call.h"
#include "model/provider.h"

static const struct model_provider *const providers[] = {
	[CONF_PROVIDER_ANTHROPIC] = &model_anthropic,
	[CONF_PROVIDER_SCRIPT] = &model_script,
};

struct models *
models_new(
    struct loop *l, struct fetcher *f, const struct conf *c, struct err *err)
{
	struct models *m = calloc(1, sizeof(*m));

	if (m == NULL)
		abort();
	m->provider = providers[c->model_provider];
	m->conf = c;
	m->loop = l;
	m->fetcher = f;
	if (m->provider->init(m, err) < 0) {
		free(m);
		return NULL;
	}
	return m;
}

void
models_free(struct models **m_p)
{
	struct models *m = *m_p;

	if (m == NULL)
		return;
	*m_p = NULL;
	m->provider->fini(m);
	free(m);
}

struct model_call *
model_call_start(struct models *m, const struct model_request *rq)
{
	struct model_call *c = m->provider->call_new(m, rq);

	c->models = m;
	c->rq = rq;
	m->provider->start(c);
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
		c->models->provider->cancel(c);
}

struct model_result *
model_call_result(struct model_call *c)
{
	return c->models->provider->result(c);
}

void
model_call_free(struct model_call **c_p)
{
	struct model_call *c = *c_p;

	if (c == NULL)
		return;
	*c_p = NULL;
	c->models->provider->call_free(c);
}
