/* SPDX-License-Identifier: MIT */
/* /api/agents/ID/checkpoints, fork and rewind. */
#include "config.h"
#include "store/records.h"

#include <string.h>

#include "api/api_priv.h"

#define LABEL_MAX_BYTES 100
#define NAME_MAX_BYTES 200

int
checkpoints_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct store_page page;

	if (store_checkpoints(c->app->store, c->arena, c->user, c->rq->param[0],
		&page, err) < 0)
		return -1;
	http_json(c->rs, 200);
	buf_putc(&c->rs->body, '{');
	api_add_docs(&c->rs->body, "checkpoints", &page);
	buf_putc(&c->rs->body, '}');
	return 0;
}

/* Whether a busy agent is refused, or taken before its turn. */
static int
body_reject(const struct api_call *c, int *reject_r, struct err *err)
{
	const char *s = "last";

	if (api_body_str(c, "onBusy", 16, &s, err) < 0)
		return -1;
	*reject_r = strcmp(s, "reject") == 0;
	if (!*reject_r && strcmp(s, "last") != 0)
		return err_set(err, ERR_INVALID,
		    "onBusy is last (the place before the turn that runs) or "
		    "reject");
	return 0;
}

int
checkpoints_post(void *call, struct err *err)
{
	struct api_call *c = call;
	const char *label = "", *doc;
	int reject;

	if (api_body_str(c, "label", LABEL_MAX_BYTES, &label, err) < 0 ||
	    body_reject(c, &reject, err) < 0 ||
	    store_checkpoint(c->app->store, c->arena, c->user, c->rq->param[0],
		label, reject, &doc, err) < 0)
		return -1;
	http_json(c->rs, 201);
	buf_puts(&c->rs->body, doc);
	return 0;
}

static int
fork_and_answer(struct api_call *c, struct store_fork *f, struct err *err)
{
	const char *agent = c->rq->param[0];
	struct buf *b = &c->rs->body;

	f->id = store_fork_id(c->arena, agent, err);
	if (f->id == NULL || api_files_copy(c, agent, f->id, err) < 0)
		return -1;
	if (store_fork(c->app->store, c->arena, c->user, agent, f, err) < 0) {
		api_files_drop(c, f->id);
		return -1;
	}
	c->made = f->id;
	http_json(c->rs, f->rewind ? 200 : 201);
	if (!f->rewind)
		http_header_add(c->rs, "Location", "/api/agents/%s", f->id);
	buf_putc(b, '{');
	json_add_str(b, f->rewind ? "fork" : "agentId", f->id);
	if (!f->rewind)
		json_add_str(b, "parent", agent);
	json_add_int(b, "messages", f->messages);
	buf_putc(b, '}');
	return 0;
}

int
fork_post(void *call, struct err *err)
{
	struct api_call *c = call;
	struct store_fork f = { .checkpoint = "", .name = "" };

	if (api_body_str(c, "checkpoint", LABEL_MAX_BYTES, &f.checkpoint, err) <
		0 ||
	    api_body_str(c, "name", NAME_MAX_BYTES, &f.name, err) < 0 ||
	    body_reject(c, &f.reject, err) < 0)
		return -1;
	return fork_and_answer(c, &f, err);
}

int
rewind_post(void *call, struct err *err)
{
	struct api_call *c = call;
	struct store_fork f = { .checkpoint = "", .name = "", .rewind = 1 };

	if (api_body_str(c, "checkpoint", LABEL_MAX_BYTES, &f.checkpoint, err) <
		0 ||
	    api_body_str(c, "name", NAME_MAX_BYTES, &f.name, err) < 0)
		return -1;
	if (*f.checkpoint == '\0')
		return err_set(err, ERR_INVALID,
		    "checkpoint is missing: an id, or a label");
	return fork_and_answer(c, &f, err);
}
