/* SPDX-License-Identifier: MIT */
/* Requests to the site, as its users make them: one at a time, each with a
 * connection of its own. */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/loop.h"
#include "doctor/doctor.h"
#include "doctor/site.h"

#define CONNECT_MS 10000
#define WAIT_MS 30000
#define ANSWER_MAX 65536

struct asking {
	struct loop *loop;
	struct site_request *request;
};

static int
on_body(void *ctx, const struct fetch_head *head, const char *data, size_t len,
    struct err *err)
{
	struct asking *k = ctx;
	struct buf *b = &k->request->answer;

	(void)head;
	if (b->len + len <= ANSWER_MAX)
		buf_add(b, data, len);
	return k->request->upgrade ? err_set(err, ERR_CANCELLED, "enough") : 0;
}

static void
on_end(void *ctx, const struct fetch_end *end)
{
	struct asking *k = ctx;

	k->request->end = *end;
	loop_stop(k->loop);
}

void
site_spec(
    struct doctor *d, const struct site_request *q, struct fetch_spec *spec_r)
{
	const struct doctor_options *o = d->options;
	size_t url_len = strlen(o->url), n = 0;

	while (url_len > 0 && o->url[url_len - 1] == '/')
		url_len--;
	*spec_r = (struct fetch_spec){
		.url = arena_printf(
		    d->arena, "%.*s%s", (int)url_len, o->url, q->path),
		.method = q->method,
		.body = q->body == NULL ? "" : q->body,
		.body_len = q->body == NULL ? 0 : q->body_len,
		.ca_file = o->ca_file,
		.tls13 = q->tls13,
		.only_connect = q->only_connect,
		.alone = q->upgrade,
		.connect_ms = CONNECT_MS,
		.first_byte_ms = WAIT_MS,
		.idle_ms = WAIT_MS,
		.total_ms = WAIT_MS,
		.on_body = fetch_ignore_body,
	};
	if (!q->anonymous)
		spec_r->headers[n++] = arena_printf(
		    d->arena, "Authorization: Bearer %s", o->token);
	if (q->body != NULL)
		spec_r->headers[n++] = "Content-Type: application/json";
	for (const char *const *h = q->headers; h != NULL && *h != NULL; h++)
		spec_r->headers[n++] = *h;
}

int
site_ask(struct doctor *d, struct site_request *q)
{
	struct asking k = { .loop = loop_new(), .request = q };
	struct fetcher *f = fetcher_new(k.loop);
	struct fetch_spec spec;

	memset(&q->end, 0, sizeof(q->end));
	buf_init(&q->answer, d->arena);
	site_spec(d, q, &spec);
	spec.on_body = on_body;
	spec.on_end = on_end;
	spec.ctx = &k;
	fetch_start(f, &spec);
	loop_run(k.loop);
	fetcher_free(&f);
	loop_free(&k.loop);
	return q->end.head.status;
}
