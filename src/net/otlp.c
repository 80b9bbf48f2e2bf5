/* SPDX-License-Identifier: MIT */
/*
 * The queue of spans, and batches of them on the loop. One request is on its
 * way at a time; meanwhile spans gather for the next. A collector that is
 * away, or says that it has too much to do, gets the same batch again after a
 * pause that doubles; then the batch is dropped. The queue is bounded in spans
 * and bytes, and what finds it full is dropped at once.
 */
#include "config.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "net/fetch.h"
#include "net/otlp.h"
#include "net/otlp_priv.h"
#include "net/webhook.h"

#define BATCH_SPANS 512
#define QUEUE_SPANS 4096
#define QUEUE_BYTES (4 * 1024 * 1024)
#define TRIES_MAX 5
#define PAUSE_FIRST_MS 500
#define TOTAL_MS 10000
#define WHOLE 1000000 /* of otlp.sample */

struct otlp {
	const struct conf *conf;
	struct loop *loop;
	struct fetcher *fetcher;
	struct loop_timer *timer;
	struct buf headers; /* "name: value", each with a 0 byte */
	const char *header[FETCH_HEADERS_MAX];
	struct buf before;  /* what of a body stands before its spans */
	struct buf waiting; /* spans with commas between */
	int count;          /* of them */
	struct buf body;    /* of the request that is on its way */
	int sent;           /* spans in it; 0: none is on its way */
	struct fetch *fetch;
	int tries, failing;
	_Atomic int busy; /* spans of both */
};

/* ---- the configuration ---- */

/* Lines as NAME: VALUE. Of headers that we say ourselves none. */
static int
headers_read(struct otlp *o, struct err *err)
{
	int n = 0, rc = conf_secret(o->conf, "otlp.headers", &o->headers, err);
	char *line, *save = NULL;

	if (rc < 0)
		return -1;
	o->header[n++] = "content-type: application/json";
	o->header[n++] = "user-agent: agent-fpm/" VERSION;
	if (rc == 0)
		return 0;
	for (line = strtok_r(o->headers.data, "\r\n", &save); line != NULL;
	     line = strtok_r(NULL, "\r\n", &save)) {
		size_t name = strcspn(line, ":");

		if (name == 0 || line[name] == '\0' ||
		    strcspn(line, " \t") < name)
			return err_set(err, ERR_CONFIG,
			    "otlp.headers: a line is NAME: VALUE");
		if (n >= FETCH_HEADERS_MAX - 1)
			return err_set(err, ERR_CONFIG,
			    "otlp.headers: more than %d lines", n - 2);
		o->header[n++] = line;
	}
	return 0;
}

static void
attribute(struct buf *b, const char *key, const char *value)
{
	otlp_add_str(b, key, value);
}

/* The resource and the scope are the same for all spans. */
static void
before_build(struct otlp *o)
{
	char host[256] = "", pid[16];
	struct buf *b = &o->before;

	gethostname(host, sizeof(host) - 1);
	json_utf8_mend(host);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	buf_puts(b, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
	attribute(b, "service.name", o->conf->otlp_service_name);
	attribute(b, "service.version", PACKAGE_VERSION);
	attribute(b, "service.instance.id", pid);
	attribute(b, "host.name", host);
	buf_puts(b, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"agent-fpm\","
		    "\"version\":\"" PACKAGE_VERSION "\"},\"spans\":[");
}

static void
on_timer(void *arg)
{
	otlp_flush(arg);
}

int
otlp_new(struct loop *l, struct fetcher *f, const struct conf *c,
    struct otlp **o_r, struct err *err)
{
	struct otlp *o;

	*o_r = NULL;
	if (*c->otlp_url == '\0')
		return 0;
	if (webhook_url_check(c->otlp_url, err) < 0)
		return err_prefix(err, "otlp.url");
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		abort();
	o->conf = c;
	o->loop = l;
	o->fetcher = f;
	buf_init(&o->headers, NULL);
	buf_init(&o->before, NULL);
	buf_init(&o->waiting, NULL);
	buf_init(&o->body, NULL);
	if (headers_read(o, err) < 0) {
		otlp_free(&o);
		return -1;
	}
	before_build(o);
	if (l != NULL)
		o->timer = loop_timer_new(l, "otlp", on_timer, o);
	*o_r = o;
	return 0;
}

void
otlp_free(struct otlp **o_p)
{
	struct otlp *o = *o_p;

	if (o == NULL)
		return;
	*o_p = NULL;
	if (o->fetch != NULL) {
		o->tries = TRIES_MAX;
		fetch_cancel(o->fetch);
	}
	loop_timer_free(&o->timer);
	conf_wipe(&o->headers);
	buf_fini(&o->before);
	buf_fini(&o->waiting);
	buf_fini(&o->body);
	free(o);
}

int
otlp_samples(const struct otlp *o)
{
	uint32_t dice;

	id_random(&dice, sizeof(dice));
	return (int64_t)(dice % WHOLE) < o->conf->otlp_sample;
}

int
otlp_is_busy(const struct otlp *o)
{
	return o != NULL && atomic_load(&o->busy) > 0;
}

/* ---- sending ---- */

static void request_start(struct otlp *o);

static void
batch_over(struct otlp *o, const char *outcome)
{
	metric_add(
	    METRIC_SPANS, metric_value(LABEL_SPANS, outcome), 0, o->sent);
	atomic_fetch_sub(&o->busy, o->sent);
	o->sent = 0;
	o->tries = 0;
	buf_trim(&o->body, QUEUE_BYTES / 8);
	if (o->count > 0)
		loop_timer_start(o->timer, o->conf->otlp_delay_ms, 0);
}

static int
is_passing(const struct fetch_end *end)
{
	int status = end->head.status;

	return end->code != ERR_NONE || status == 429 || status == 502 ||
	       status == 503 || status == 504;
}

/* What failed is said once, until it works again. */
static void
note_failure(struct otlp *o, const struct fetch_end *end)
{
	if (o->failing)
		return;
	o->failing = 1;
	if (end->code != ERR_NONE)
		log_warn("traces are not taken: %s", end->text);
	else
		log_warn("traces are not taken: the collector answered %d",
		    end->head.status);
}

static void
on_end(void *ctx, const struct fetch_end *end)
{
	struct otlp *o = ctx;

	o->fetch = NULL;
	if (end->code == ERR_NONE && end->head.status / 100 == 2) {
		if (o->failing)
			log_info("traces are taken again");
		o->failing = 0;
		batch_over(o, "sent");
		return;
	}
	if (end->code != ERR_CANCELLED)
		note_failure(o, end);
	if (is_passing(end) && ++o->tries < TRIES_MAX)
		loop_timer_start(
		    o->timer, (int64_t)PAUSE_FIRST_MS << (o->tries - 1), 0);
	else
		batch_over(o, "dropped");
}

static void
request_start(struct otlp *o)
{
	struct fetch_spec spec = {
		.url = o->conf->otlp_url,
		.ca_file = o->conf->otlp_ca_file,
		.body = o->body.data,
		.body_len = o->body.len,
		.connect_ms = TOTAL_MS,
		.first_byte_ms = TOTAL_MS,
		.idle_ms = TOTAL_MS,
		.total_ms = TOTAL_MS,
		.on_body =
		    fetch_ignore_body, /* how much was taken is its matter */
		.on_end = on_end,
		.ctx = o,
	};
	struct fetch *fetch;

	memcpy(spec.headers, o->header, sizeof(spec.headers));
	fetch = fetch_start(o->fetcher, &spec);
	if (fetch != NULL)
		o->fetch = fetch;
}

void
otlp_flush(struct otlp *o)
{
	if (o->fetch != NULL)
		return;
	loop_timer_stop(o->timer);
	if (o->sent == 0) {
		if (o->count == 0)
			return;
		buf_clear(&o->body);
		buf_add(&o->body, o->before.data, o->before.len);
		buf_add(&o->body, o->waiting.data, o->waiting.len);
		buf_lit(&o->body, "]}]}]}");
		o->sent = o->count;
		o->count = 0;
		buf_trim(&o->waiting, QUEUE_BYTES / 8);
	}
	request_start(o);
}

/* ---- the queue ---- */

struct arrival {
	struct otlp *otlp;
	struct buf span;
};

static void
queue_add(struct otlp *o, const struct buf *span)
{
	if (o->count >= QUEUE_SPANS ||
	    o->waiting.len + span->len > QUEUE_BYTES) {
		metric_add(
		    METRIC_SPANS, metric_value(LABEL_SPANS, "dropped"), 0, 1);
		atomic_fetch_sub(&o->busy, 1);
		return;
	}
	if (o->count > 0)
		buf_putc(&o->waiting, ',');
	buf_add(&o->waiting, span->data, span->len);
	if (++o->count >= BATCH_SPANS && o->sent == 0)
		otlp_flush(o);
	else if (o->count == 1 && o->sent == 0)
		loop_timer_start(o->timer, o->conf->otlp_delay_ms, 0);
}

static void
on_arrival(void *arg)
{
	struct arrival *a = arg;

	queue_add(a->otlp, &a->span);
	buf_fini(&a->span);
	free(a);
}

void
otlp_span_end(struct otlp *o, struct buf *b, const struct otlp_span *s)
{
	struct arrival *a;

	otlp_span_close(b, s);
	atomic_fetch_add(&o->busy, 1);
	if (loop_here(o->loop)) {
		queue_add(o, b);
		buf_fini(b);
		return;
	}
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		abort();
	a->otlp = o;
	buf_init(&a->span, NULL);
	buf_add(&a->span, b->data, b->len);
	buf_fini(b);
	loop_post(o->loop, "span", on_arrival, a);
}
