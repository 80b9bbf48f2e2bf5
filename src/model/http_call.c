/* SPDX-License-Identifier: MIT */
/*
 * A call over HTTP, of whichever API.
 *
 * The body is the history's own buffer, to which the other members are added
 * behind: their order does not matter, and nothing of a long history is
 * copied. An API that has the system prompt among the messages gets it in a
 * piece of its own before that. Bytes of the answer go to the decoder from
 * within libcurl. A body that is not a 200 is collected, bounded, and read as
 * an error.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/scoreboard.h"
#include "conf/conf.h"
#include "model/breaker.h"
#include "model/decode.h"
#include "model/provider.h"
#include "net/fetch.h"

#define ERROR_BODY_MAX (64 * 1024)
#define GRACE_MS 2000
#define EVENT_MAX (16 * 1024 * 1024)
#define ANSWER_MAX (32 * 1024 * 1024)

struct http_call {
	struct model_call call; /* first */
	struct model_decode *decode;
	struct fetch *fetch;
	struct loop_timer *grace; /* the answer is whole: for what follows */
	int over;                 /* and that was waited for */
	int admitted;             /* by the breaker */
	struct arena *arena; /* the headers, and what is before the messages */
	struct buf before;
	struct buf error_body;
	const char *headers[FETCH_HEADERS_MAX];
	int header_count;
};

/* ---- the request ---- */

static void
add_header(struct http_call *c, const char *name, const char *value)
{
	if (c->header_count < FETCH_HEADERS_MAX - 2)
		c->headers[c->header_count++] =
		    arena_printf(c->arena, "%s: %s", name, value);
}

/* model.headers: "name: value | name: value". */
static void
add_configured_headers(struct http_call *c, const char *text)
{
	while (*text != '\0' && c->header_count < FETCH_HEADERS_MAX - 2) {
		size_t n = strcspn(text, "|"), len;
		const char *p = text + strspn(text, " ");

		len = n - (size_t)(p - text);
		while (len > 0 && p[len - 1] == ' ')
			len--;
		if (len > 0)
			c->headers[c->header_count++] =
			    arena_memdup(c->arena, p, len);
		text += n + (text[n] == '|');
	}
}

static void
headers_build(struct http_call *c)
{
	const struct model *m = c->call.model;
	const char *version =
	    *m->conf->version != '\0' ? m->conf->version : m->profile->version;

	add_header(c, "content-type", "application/json");
	add_header(c, "accept", "text/event-stream");
	if (m->profile->api == MODEL_API_ANTHROPIC && version != NULL)
		add_header(c, "anthropic-version", version);
	add_header(c, "user-agent", "agent-fpm/" PACKAGE_VERSION);
	if (*c->call.rq->request_id != '\0')
		add_header(c, "x-request-id", c->call.rq->request_id);
	if (c->call.rq->traceparent != NULL && *c->call.rq->traceparent != '\0')
		add_header(c, "traceparent", c->call.rq->traceparent);
	add_configured_headers(c, m->conf->headers);
}

/* Puts the rest of the body behind the messages, and makes what is before. */
static void
body_finish(struct http_call *c)
{
	const struct model *m = c->call.model;
	const struct model_request *rq = c->call.rq;
	const struct model_wire *wire = model_wire_of(m);
	struct wire_text text = { .out = rq->messages,
		.shown = rq->message_count,
		.round = rq->round };
	struct wire_model model = m->on_wire;
	const struct wire_request on_wire = {
		.model = &model,
		.system = rq->system,
		.tools = rq->tools,
		.tool_choice = rq->tool_choice,
		.schema = rq->schema,
		.extra = rq->extra,
	};

	if (rq->max_tokens > 0) {
		model.max_tokens = rq->max_tokens;
		model.thinking = 0;
	}
	if (wire->head != NULL)
		wire->head(&c->before, &text, &on_wire);
	wire->finish(&text, &on_wire);
}

/* ---- the answer ---- */

/* The server did not end the response: nothing that matters will follow. */
static void
on_grace(void *arg)
{
	struct http_call *c = arg;

	c->over = 1;
	fetch_cancel(c->fetch);
}

/* Usage may come behind the end of the answer (spec/providers.md, 0). */
static int
take_answer(struct http_call *c, const char *data, size_t len, struct err *err)
{
	int rc = model_decode_feed(c->decode, data, len, err);

	if (rc == 0 && c->grace == NULL &&
	    model_decode_result(c->decode)->complete) {
		c->grace = loop_timer_new(
		    c->call.model->models->loop, "grace", on_grace, c);
		loop_timer_start(c->grace, GRACE_MS, 0);
	}
	return rc;
}

static int
on_body(void *ctx, const struct fetch_head *head, const char *data, size_t len,
    struct err *err)
{
	struct http_call *c = ctx;
	size_t room;

	model_call_heard(&c->call);
	if (head->status == 200)
		return take_answer(c, data, len, err);
	room = ERROR_BODY_MAX - c->error_body.len;
	buf_add(&c->error_body, data, len < room ? len : room);
	return 0;
}

static const char *
or_null(const char *s)
{
	return *s == '\0' ? NULL : s;
}

/* A failure below HTTP: no connection, no answer, a timeout. */
static void
fail_by_fetch(struct model_failure *f, const struct fetch_end *end)
{
	if (f->failed)
		return; /* the decoder knows better */
	memset(f, 0, sizeof(*f));
	if (end->code == ERR_TIMEOUT)
		model_failure_set(f, MODEL_CLASS_TIMEOUT, "timeout");
	else
		model_failure_set(f, MODEL_CLASS_NETWORK, "network");
	snprintf(f->message, sizeof(f->message), "%s", end->text);
	json_utf8_mend(f->message);
}

static void
fail_by_status(
    struct http_call *c, struct model_failure *f, const struct fetch_head *head)
{
	struct model_reply reply = {
		.status = head->status,
		.body = buf_str(&c->error_body),
		.len = c->error_body.len,
		.retry_after = or_null(head->retry_after),
		.retry_after_ms = or_null(head->retry_after_ms),
		.should_retry = or_null(head->should_retry),
		.now_s = clk_wall_ms() / 1000,
	};

	model_error_decode(&reply, f);
}

static void
on_end(void *ctx, const struct fetch_end *end)
{
	struct http_call *c = ctx;
	struct model_result *r = model_decode_result(c->decode);

	c->fetch = NULL;
	loop_timer_free(&c->grace);
	snprintf(
	    r->request_id, sizeof(r->request_id), "%s", end->head.request_id);
	json_utf8_mend(r->request_id);
	if (end->code == ERR_CANCELLED && !c->over)
		model_decode_interrupt(c->decode);
	else if (end->head.status != 200 && end->head.status != 0)
		fail_by_status(c, &r->failure, &end->head);
	else if ((end->code == ERR_TIMEOUT && !r->complete) ||
		 end->head.status == 0)
		fail_by_fetch(&r->failure, end);
	else
		model_decode_finish(c->decode, NULL);
	if (end->code != ERR_CANCELLED || c->over)
		breaker_note(c->call.model->endpoint, c->call.model->conf,
		    c->admitted,
		    r->failure.failed ? r->failure.kind : MODEL_CLASS_NONE,
		    clk_mono_ms());
	model_call_end(&c->call);
}

static struct model_call *
http_call_new(const struct model *m, const struct model_request *rq)
{
	static const struct model_bounds bounds = { EVENT_MAX, ANSWER_MAX };
	struct http_call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->arena = arena_open(512);
	c->decode = model_decode_new(
	    m->profile->api, m->profile->quirks, &rq->sink, rq->ctx, &bounds);
	buf_init(&c->before, c->arena);
	buf_init(&c->error_body, NULL);
	return &c->call;
}

/* 1 if nobody asks the endpoint now: the call has ended. */
static int
is_left_alone(struct http_call *c)
{
	const struct model *m = c->call.model;
	struct model_failure *f = &model_decode_result(c->decode)->failure;
	int64_t wait_ms;

	c->admitted =
	    breaker_admits(m->endpoint, m->conf, clk_mono_ms(), &wait_ms);
	if (c->admitted)
		return 0;
	model_failure_set(f, MODEL_CLASS_OVERLOAD, "circuit_open");
	f->retry_after_ms = (int)wait_ms;
	snprintf(f->message, sizeof(f->message),
	    "%s failed %lld times in a row: it is asked again in %lld ms",
	    m->profile->name, (long long)atomic_load(&m->endpoint->failures),
	    (long long)wait_ms);
	model_call_end(&c->call);
	return 1;
}

static void
http_start(struct model_call *call)
{
	struct http_call *c = (struct http_call *)(void *)call;
	const struct model *m = call->model;
	const struct conf_model *conf = m->conf;
	struct fetch_spec spec = {
		.url = m->url,
		.ca_file = conf->ca_file,
		.proxy = conf->proxy,
		.connect_ms = conf->connect_timeout_ms,
		.first_byte_ms = conf->first_byte_timeout_ms,
		.idle_ms = conf->idle_timeout_ms,
		.total_ms = conf->total_timeout_ms,
		.on_body = on_body,
		.on_end = on_end,
		.ctx = c,
	};

	if (is_left_alone(c))
		return;
	headers_build(c);
	memcpy(spec.headers, c->headers, sizeof(spec.headers));
	if (m->key_header.len > 0)
		spec.headers[c->header_count] = buf_str(&m->key_header);
	body_finish(c);
	spec.head = c->before.data;
	spec.head_len = c->before.len;
	spec.body = call->rq->messages->data;
	spec.body_len = call->rq->messages->len;
	c->fetch = fetch_start(m->models->fetcher, &spec);
}

static void
http_cancel(struct model_call *call)
{
	struct http_call *c = (struct http_call *)(void *)call;

	if (c->fetch != NULL)
		fetch_cancel(c->fetch);
}

static struct model_result *
http_result(struct model_call *call)
{
	struct http_call *c = (struct http_call *)(void *)call;

	return model_decode_result(c->decode);
}

static void
http_call_free(struct model_call *call)
{
	struct http_call *c = (struct http_call *)(void *)call;

	model_decode_free(&c->decode);
	buf_fini(&c->error_body);
	arena_close(&c->arena);
	free(c);
}

const struct model_engine engine_http = {
	.call_new = http_call_new,
	.start = http_start,
	.cancel = http_cancel,
	.result = http_result,
	.call_free = http_call_free,
};
