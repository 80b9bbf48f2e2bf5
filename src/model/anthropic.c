/* SPDX-License-Identifier: MIT */
/*
 * The Anthropic Messages API (spec/providers.md, section 1), and whatever
 * speaks it.
 *
 * The body is the history's own buffer, to which the last message's cache
 * marker and the other members are added behind: the order of members does
 * not matter, and nothing of a long history is copied. Bytes of the answer go
 * to the decoder from within libcurl. A body that is not a 200 is collected,
 * bounded, and read as an error.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "conf/conf.h"
#include "model/decode.h"
#include "model/provider.h"
#include "net/fetch.h"

#define ERROR_BODY_MAX (64 * 1024)
#define EVENT_MAX (16 * 1024 * 1024)
#define ANSWER_MAX (32 * 1024 * 1024)

static const char cache_marker[] =
    ",\"cache_control\":{\"type\":\"ephemeral\"}";

struct anthropic_call {
	struct model_call call; /* first */
	struct model_decode *decode;
	struct fetch *fetch;
	struct arena *arena; /* the headers */
	struct buf error_body;
	const char *headers[FETCH_HEADERS_MAX];
	int header_count;
};

static int
anthropic_init(struct models *m, struct err *err)
{
	struct buf key;
	int rc = conf_secret(m->conf, "model.api_key", &key, err);

	if (rc < 0)
		return -1;
	if (rc == 0) {
		conf_wipe(&key);
		return err_set(err, ERR_CONFIG,
		    "the provider needs a key: set model.api_key_file, or "
		    "ANTHROPIC_API_KEY in the environment, or use "
		    "model.provider = script");
	}
	buf_init(&m->api_key, NULL);
	buf_printf(&m->api_key, "x-api-key: %s", buf_str(&key));
	conf_wipe(&key);
	return 0;
}

static void
anthropic_fini(struct models *m)
{
	conf_wipe(&m->api_key);
}

/* ---- the request ---- */

static void
add_header(struct anthropic_call *c, const char *name, const char *value)
{
	if (c->header_count < FETCH_HEADERS_MAX - 2)
		c->headers[c->header_count++] =
		    arena_printf(c->arena, "%s: %s", name, value);
}

/* model.headers: "name: value | name: value". */
static void
add_configured_headers(struct anthropic_call *c, const char *text)
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

/* Marks the last block of the last message, which ends in }]} . */
static void
mark_last_message(struct buf *b)
{
	static const char end[] = "}]}";

	if (b->len < 3 || memcmp(b->data + b->len - 3, end, 3) != 0)
		return;
	b->len -= 3;
	buf_lit(b, cache_marker);
	buf_lit(b, end);
}

/* One block more in the last message, behind what the provider may cache. */
static void
add_extra(struct buf *b, const char *extra)
{
	if (*extra == '\0' || b->len < 3)
		return;
	b->len -= 2; /* ]} */
	buf_lit(b, ",{\"type\":\"text\",\"text\":\"");
	json_escape(b, extra, strlen(extra));
	buf_lit(b, "\"}]}");
}

static void
add_system(struct buf *b, const char *system, int mark)
{
	if (*system == '\0')
		return;
	buf_lit(b, ",\"system\":[{\"type\":\"text\",\"text\":\"");
	json_escape(b, system, strlen(system));
	buf_putc(b, '"');
	if (mark)
		buf_lit(b, cache_marker);
	buf_lit(b, "}]");
}

/* Everything of the body that stands behind the messages. */
static void
body_finish(struct buf *b, const struct conf *c, const struct model_request *rq)
{
	if (c->model_cache_markers)
		mark_last_message(b);
	add_extra(b, rq->extra);
	buf_lit(b, "],\"model\":\"");
	json_escape(b, *rq->model == '\0' ? c->model_name : rq->model,
	    strlen(*rq->model == '\0' ? c->model_name : rq->model));
	buf_printf(b, "\",\"max_tokens\":%lld,\"stream\":true",
	    (long long)c->model_max_tokens);
	if (*rq->tools != '\0')
		json_add_raw(b, "tools", rq->tools, strlen(rq->tools));
	add_system(b, rq->system, (int)c->model_cache_markers);
	if (c->model_thinking > 0)
		buf_printf(b,
		    ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":"
		    "%lld}",
		    (long long)c->model_thinking);
	buf_putc(b, '}');
}

static void
headers_build(struct anthropic_call *c)
{
	const struct conf *conf = c->call.models->conf;

	add_header(c, "content-type", "application/json");
	add_header(c, "accept", "text/event-stream");
	add_header(c, "anthropic-version", conf->model_version);
	add_header(c, "user-agent", "agent-fpm/" PACKAGE_VERSION);
	if (*c->call.rq->request_id != '\0')
		add_header(c, "x-request-id", c->call.rq->request_id);
	add_configured_headers(c, conf->model_headers);
}

/* ---- the answer ---- */

static int
on_body(void *ctx, const struct fetch_head *head, const char *data, size_t len,
    struct err *err)
{
	struct anthropic_call *c = ctx;
	size_t room;

	if (head->status == 200)
		return model_decode_feed(c->decode, data, len, err);
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
	f->failed = 1;
	f->retryable = 1;
	snprintf(f->type, sizeof(f->type), "%s",
	    end->code == ERR_TIMEOUT ? "timeout" : "network");
	snprintf(f->message, sizeof(f->message), "%s", end->text);
}

static void
fail_by_status(struct anthropic_call *c, struct model_failure *f,
    const struct fetch_head *head)
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
	f->rejected =
	    head->status == 400 || head->status == 413 || head->status == 422;
}

static void
on_end(void *ctx, const struct fetch_end *end)
{
	struct anthropic_call *c = ctx;
	struct model_result *r = model_decode_result(c->decode);

	c->fetch = NULL;
	snprintf(
	    r->request_id, sizeof(r->request_id), "%s", end->head.request_id);
	if (end->code == ERR_CANCELLED)
		model_decode_interrupt(c->decode);
	else if (end->head.status != 200 && end->head.status != 0)
		fail_by_status(c, &r->failure, &end->head);
	else if (end->code == ERR_TIMEOUT || end->head.status == 0)
		fail_by_fetch(&r->failure, end);
	else
		model_decode_finish(c->decode, NULL);
	model_call_end(&c->call);
}

static struct model_call *
anthropic_call_new(struct models *m, const struct model_request *rq)
{
	static const struct model_bounds bounds = { EVENT_MAX, ANSWER_MAX };
	struct anthropic_call *c = calloc(1, sizeof(*c));

	(void)m;
	if (c == NULL)
		abort();
	c->arena = arena_open(512);
	c->decode = model_decode_new(
	    MODEL_API_ANTHROPIC, 0, &rq->sink, rq->ctx, &bounds);
	buf_init(&c->error_body, NULL);
	return &c->call;
}

static void
anthropic_start(struct model_call *call)
{
	struct anthropic_call *c = (struct anthropic_call *)(void *)call;
	const struct conf *conf = call->models->conf;
	struct fetch_spec spec = {
		.ca_file = conf->model_ca_file,
		.connect_ms = conf->model_connect_timeout_ms,
		.first_byte_ms = conf->model_first_byte_timeout_ms,
		.idle_ms = conf->model_idle_timeout_ms,
		.total_ms = conf->model_total_timeout_ms,
		.on_body = on_body,
		.on_end = on_end,
		.ctx = c,
	};
	struct buf url;

	buf_init(&url, NULL);
	buf_printf(&url, "%s/v1/messages", conf->model_url);
	headers_build(c);
	memcpy(spec.headers, c->headers, sizeof(spec.headers));
	spec.headers[c->header_count] = buf_str(&call->models->api_key);
	body_finish(call->rq->messages, conf, call->rq);
	spec.url = url.data;
	spec.body = call->rq->messages->data;
	spec.body_len = call->rq->messages->len;
	c->fetch = fetch_start(call->models->fetcher, &spec);
	buf_fini(&url);
}

static void
anthropic_cancel(struct model_call *call)
{
	struct anthropic_call *c = (struct anthropic_call *)(void *)call;

	if (c->fetch != NULL)
		fetch_cancel(c->fetch);
}

static struct model_result *
anthropic_result(struct model_call *call)
{
	struct anthropic_call *c = (struct anthropic_call *)(void *)call;

	return model_decode_result(c->decode);
}

static void
anthropic_call_free(struct model_call *call)
{
	struct anthropic_call *c = (struct anthropic_call *)(void *)call;

	model_decode_free(&c->decode);
	buf_fini(&c->error_body);
	arena_close(&c->arena);
	free(c);
}

const struct model_provider model_anthropic = {
	.name = "anthropic",
	.init = anthropic_init,
	.fini = anthropic_fini,
	.call_new = anthropic_call_new,
	.start = anthropic_start,
	.cancel = anthropic_cancel,
	.result = anthropic_result,
	.call_free = anthropic_call_free,
};
