/* SPDX-License-Identifier: MIT */
/*
 * Calls by sandbox.address: each is a POST of its frame, and the response the
 * frames of its answer, which docs/sandbox.md describes. curl keeps the
 * connections. What is not waited for any more is closed, which ends it there.
 *
 * A call is sent once. Only when nothing of it was, or when the other side
 * says by 503 that it has not begun, may it be tried again.
 *
 * Parts of an answer are given to the owner from within curl, as a model's
 * are; the answer itself when curl has returned, as its owner may start the
 * next call at once.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "net/fetch.h"
#include "net/webhook.h"
#include "sandbox/client.h"
#include "sandbox/client_priv.h"
#include "sandbox/frame.h"
#include "sandbox/token.h"

#define CONNECT_MS 5000 /* with TLS, over a distance */
#define SILENT_BEATS 4  /* heartbeats that did not come */

/* A call on its way; its memory is its own, as the call's may go first. */
struct request {
	struct sandbox *sandbox;
	struct sandbox_call *call; /* NULL: nobody waits for it */
	uint64_t id;
	struct fetch *fetch;
	struct buf body, in;
	struct sandbox_answer answer; /* arena NULL: it did not come */
	struct frame_view frame;      /* the answer's, in in */
	int inside;                   /* curl's callback, or fetch_start */
};

static void
request_free(struct request *rq)
{
	if (rq->answer.arena != NULL)
		arena_close(&rq->answer.arena);
	buf_fini(&rq->body);
	buf_fini(&rq->in);
	free(rq);
}

/* ---- the response ---- */

/* One frame. 0, or -1: it is no good one, or nobody wants it. */
static int
take_frame(struct request *rq, const struct frame_view *f)
{
	struct sandbox_call *c = rq->call;
	struct sandbox_answer an;

	if (rq->answer.arena != NULL || sandbox_answer_read(&an, f) < 0)
		return -1;
	if (an.id != rq->id) {
		arena_close(&an.arena);
		return -1;
	}
	if (!an.more) {
		rq->answer = an;
		rq->frame = *f;
		return 0;
	}
	arena_close(&an.arena);
	if (c->on_more != NULL && f->data_len > 0)
		c->on_more(c->ctx, f->data, f->data_len);
	return rq->call == NULL ? -1 : 0; /* it may have been cancelled */
}

static int
take_bytes(struct request *rq, const char *data, size_t len)
{
	struct frame_view f;
	size_t at = 0;
	int rc;

	if (rq->answer.arena != NULL)
		return -1; /* nothing comes behind it */
	buf_add(&rq->in, data, len);
	while ((rc = frame_read(rq->in.data + at, rq->in.len - at, &f, NULL)) >
	       0) {
		if (take_frame(rq, &f) < 0)
			return -1;
		at += f.size;
		if (rq->answer.arena != NULL)
			return at == rq->in.len ? 0 : -1;
	}
	buf_consume(&rq->in, at);
	return rc;
}

static int
on_body(void *ctx, const struct fetch_head *head, const char *data, size_t len,
    struct err *err)
{
	struct request *rq = ctx;
	int rc;

	if (head->status != 200)
		return 0; /* the status says it */
	if (strcmp(head->content_type, FRAME_MEDIA_TYPE) != 0)
		return err_set(err, ERR_UNCERTAIN,
		    "the sandbox at %s does not speak the protocol: it answers "
		    "with %s",
		    rq->sandbox->where,
		    *head->content_type == '\0' ? "no type"
						: head->content_type);
	if (rq->call == NULL)
		return err_set(err, ERR_CANCELLED, "cancelled");
	rq->inside++;
	rc = take_bytes(rq, data, len);
	rq->inside--;
	if (rc == 0)
		return 0;
	if (rq->answer.arena != NULL)
		arena_close(&rq->answer.arena);
	return err_set(err, ERR_UNCERTAIN,
	    "the sandbox at %s does not speak the protocol",
	    rq->sandbox->where);
}

/* ---- the end ---- */

/* It has not begun: the call waits, and is sent again soon. */
static void
put_back(struct request *rq, const char *why)
{
	struct sandbox *s = rq->sandbox;

	snprintf(s->refused, sizeof(s->refused), "%s", why);
	rq->call->sent = 0;
	rq->call->way = NULL;
}

/* What a status other than 200 means. */
static const struct refusal {
	int status;
	enum err_code code;
	const char *hint;
} refusals[] = {
	{ 401, ERR_OVERLOAD, "is sandbox.token_file the one that it wants?" },
	{ 403, ERR_OVERLOAD, "it does not let this host in" },
	{ 404, ERR_OVERLOAD, "is that the path?" },
	{ 413, ERR_TOO_LARGE, "the call is larger than it takes" },
	{ 0, ERR_UNCERTAIN, "nobody knows whether the call was carried out" },
};

static void
fail_by_status(struct request *rq, int status)
{
	const struct refusal *r = refusals;
	char text[400];

	while (r->status != status && r->status != 0)
		r++;
	snprintf(text, sizeof(text), "the sandbox at %s answered %d: %s",
	    rq->sandbox->where, status, r->hint);
	sandbox_call_fail(rq->sandbox, rq->call, r->code, text);
}

static void
fail_by_transfer(struct request *rq, const struct fetch_end *end)
{
	char text[400];

	if (end->code == ERR_UNCERTAIN || end->code == ERR_CANCELLED) {
		sandbox_call_fail(rq->sandbox, rq->call, end->code, end->text);
		return;
	}
	snprintf(text, sizeof(text),
	    "the sandbox went away in the middle of the call (%s)",
	    end->code == ERR_NONE ? "its answer has no end" : end->text);
	sandbox_call_fail(rq->sandbox, rq->call, ERR_UNCERTAIN, text);
}

static void
request_end(struct request *rq, const struct fetch_end *end)
{
	if (rq->answer.arena != NULL) {
		sandbox_answer_take(rq->sandbox, rq->call, &rq->answer,
		    rq->frame.data, rq->frame.data_len);
		rq->answer.arena = NULL;
	} else if (end->code != ERR_NONE && !end->sent) {
		put_back(rq, end->text);
	} else if (end->code == ERR_NONE && end->head.status == 503) {
		put_back(rq, "it answers 503");
	} else if (end->code == ERR_NONE && end->head.status != 200) {
		fail_by_status(rq, end->head.status);
	} else {
		fail_by_transfer(rq, end);
	}
}

static void
on_end(void *ctx, const struct fetch_end *end)
{
	struct request *rq = ctx;

	rq->fetch = NULL;
	if (rq->inside) { /* curl refused it: by_http_send frees it */
		put_back(rq, end->text);
		return;
	}
	if (rq->call != NULL)
		request_end(rq, end);
	request_free(rq);
}

/* ---- the transport ---- */

static void
by_http_send(struct sandbox *s, struct sandbox_call *c)
{
	const struct conf *conf = s->conf;
	struct request *rq = calloc(1, sizeof(*rq));
	int64_t silence_ms = conf->sandbox_heartbeat_ms * SILENT_BEATS;
	struct fetch_spec spec = {
		.url = s->where,
		.headers = { "content-type: " FRAME_MEDIA_TYPE,
		    "accept: " FRAME_MEDIA_TYPE,
		    "user-agent: agent-fpm/" VERSION },
		.ca_file = conf->sandbox_ca_file,
		.certificate_file = conf->sandbox_certificate_file,
		.key_file = conf->sandbox_key_file,
		.once = 1,
		.alone = 1,
		.connect_ms = CONNECT_MS,
		.first_byte_ms = silence_ms,
		.idle_ms = silence_ms,
		.total_ms = c->deadline_ms - loop_now_ms(s->loop) + silence_ms,
		.on_body = on_body,
		.on_end = on_end,
		.ctx = rq,
	};

	if (rq == NULL)
		abort();
	if (s->authorization.len > 0)
		spec.headers[3] = s->authorization.data;
	rq->sandbox = s;
	rq->call = c;
	rq->id = c->id;
	buf_init(&rq->in, NULL);
	buf_init(&rq->body, NULL);
	sandbox_call_write(c, &rq->body);
	spec.body = rq->body.data;
	spec.body_len = rq->body.len;
	c->sent = 1;
	c->way = rq;
	rq->inside++;
	rq->fetch = fetch_start(s->fetcher, &spec);
	rq->inside--;
	if (rq->fetch == NULL)
		request_free(rq);
}

static void
by_http_cancel(struct sandbox *s, struct sandbox_call *c)
{
	struct request *rq = c->way;

	(void)s;
	rq->call = NULL;
	if (!rq->inside)
		fetch_cancel(rq->fetch);
}

static int
by_http_open(struct sandbox *s)
{
	(void)s;
	return 0;
}

static void
by_http_flush(struct sandbox *s)
{
	(void)s;
}

/* ---- the configuration ---- */

static int
by_http_init(struct sandbox *s, struct err *err)
{
	const struct conf *c = s->conf;
	struct buf token;
	int rc;

	s->where = c->sandbox_address;
	buf_init(&s->authorization, NULL);
	if (webhook_url_check(s->where, err) < 0)
		return err_prefix(err, "sandbox.address");
	if ((*c->sandbox_certificate_file == '\0') !=
	    (*c->sandbox_key_file == '\0'))
		return err_set(err, ERR_CONFIG,
		    "sandbox.certificate_file and sandbox.key_file go "
		    "together");
	rc = sandbox_token_read(c, &token, err);
	if (rc > 0) {
		buf_reserve(&s->authorization, token.len + 32);
		buf_printf(
		    &s->authorization, "authorization: Bearer %s", token.data);
	}
	conf_wipe(&token);
	return rc < 0 ? -1 : 0;
}

static void
by_http_fini(struct sandbox *s)
{
	conf_wipe(&s->authorization);
}

const struct sandbox_transport sandbox_by_http = { by_http_init, by_http_fini,
	by_http_open, by_http_send, by_http_flush, by_http_cancel };
