/* SPDX-License-Identifier: MIT */
/* Signed requests: see webhook.h. */
#include "config.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "conf/conf.h"
#include "net/address.h"
#include "net/fetch.h"
#include "net/webhook.h"

#define CONNECT_MS 10000
#define SECRET_BYTES_MIN 24 /* the specification's */
#define SECRET_PREFIX "whsec_"

struct webhooks {
	struct fetcher *fetcher; /* its connections are checked ones */
	struct networks *networks;
	struct buf secret;
};

/* The specification's form of a secret: whsec_ and base64. 0 or -1. */
static int
secret_decode(struct buf *secret)
{
	size_t skip = strlen(SECRET_PREFIX), n = secret->len - skip;
	const unsigned char *text = (unsigned char *)secret->data + skip;
	unsigned char *out;
	int len;

	out = calloc(1, n + 4);
	if (out == NULL)
		abort();
	len = EVP_DecodeBlock(out, text, (int)n);
	for (size_t i = n; len > 0 && i > 0 && text[i - 1] == '='; i--)
		len--;
	if (len > 0) {
		buf_truncate(secret, 0);
		buf_add(secret, out, (size_t)len);
	}
	explicit_bzero(out, n + 4);
	free(out);
	return len > 0 ? 0 : -1;
}

static int
secret_read(
    struct webhooks *h, const struct conf *c, int needed, struct err *err)
{
	int rc = conf_secret(c, "tool.secret", &h->secret, err);

	if (rc < 0)
		return -1;
	if (rc == 0 && needed)
		return err_set(err, ERR_CONFIG,
		    "templates with httpTools or hooks need "
		    "tool.secret_file: a file with the secret that their "
		    "requests are signed with");
	if (rc > 0 &&
	    strncmp(h->secret.data, SECRET_PREFIX, strlen(SECRET_PREFIX)) ==
		0 &&
	    secret_decode(&h->secret) < 0)
		return err_set(err, ERR_CONFIG,
		    "tool.secret: what follows whsec_ is no base64");
	if (rc > 0 && h->secret.len < SECRET_BYTES_MIN)
		return err_set(err, ERR_CONFIG,
		    "tool.secret: %zu bytes are too few, it takes %d",
		    h->secret.len, SECRET_BYTES_MIN);
	return 0;
}

struct webhooks *
webhooks_new(struct loop *l, const struct conf *c, int needed, struct err *err)
{
	struct webhooks *h = calloc(1, sizeof(*h));

	if (h == NULL)
		abort();
	buf_init(&h->secret, NULL);
	h->networks = networks_parse(c->tool_networks, err);
	if (h->networks == NULL)
		err_prefix(err, "tool.networks");
	if (h->networks == NULL || secret_read(h, c, needed, err) < 0) {
		webhooks_free(&h);
		return NULL;
	}
	if (l != NULL)
		h->fetcher = fetcher_new(l);
	return h;
}

void
webhooks_free(struct webhooks **h_p)
{
	struct webhooks *h = *h_p;

	if (h == NULL)
		return;
	*h_p = NULL;
	fetcher_free(&h->fetcher);
	networks_free(&h->networks);
	conf_wipe(&h->secret);
	free(h);
}

int
webhook_url_check(const char *url, struct err *err)
{
	size_t skip = strncmp(url, "https://", 8) == 0  ? 8
		      : strncmp(url, "http://", 7) == 0 ? 7
							: 0;

	if (skip == 0 || url[skip] == '\0' || url[skip] == '/')
		return err_set(
		    err, ERR_CONFIG, "a URL is https:// or http:// and a host");
	for (const char *p = url; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_set(err, ERR_CONFIG, "a URL has no spaces");
	if (memchr(url + skip, '@', strcspn(url + skip, "/?#")) != NULL)
		return err_set(err, ERR_CONFIG,
		    "a URL here has no user and password: requests are signed");
	return 0;
}

/* "v1," and the signature. */
static const char *
sign(const struct webhooks *h, const struct webhook *w, const char *time)
{
	unsigned char mac[EVP_MAX_MD_SIZE], text[2 * EVP_MAX_MD_SIZE];
	unsigned int len;
	struct buf said;

	buf_init(&said, w->arena);
	buf_printf(&said, "%s.%s.", w->id, time);
	buf_add(&said, w->body, w->len);
	if (HMAC(EVP_sha256(), h->secret.data, (int)h->secret.len,
		(unsigned char *)said.data, said.len, mac, &len) == NULL)
		abort();
	EVP_EncodeBlock(text, mac, (int)len);
	return arena_printf(w->arena, "v1,%s", (char *)text);
}

static int
on_body(void *ctx, const struct fetch_head *head, const char *data, size_t len,
    struct err *err)
{
	struct webhook *w = ctx;

	(void)head;
	if (w->answer.len + len > w->max_bytes)
		return err_set(err, ERR_TOO_LARGE,
		    "the answer is longer than %zu bytes", w->max_bytes);
	buf_add(&w->answer, data, len);
	return 0;
}

static void
on_end(void *ctx, const struct fetch_end *end)
{
	struct webhook *w = ctx;

	w->fetch = NULL;
	w->status = end->head.status;
	err_clear(&w->err);
	if (end->code != ERR_NONE)
		err_set(&w->err, end->code, "%s", end->text);
	w->on_end(w->ctx, w);
}

void
webhook_start(struct webhooks *h, struct webhook *w)
{
	char time[24];
	struct fetch_spec spec = {
		.url = w->url,
		.body = w->body,
		.body_len = w->len,
		.networks = h->networks,
		.connect_ms =
		    w->timeout_ms < CONNECT_MS ? w->timeout_ms : CONNECT_MS,
		.first_byte_ms = w->timeout_ms,
		.idle_ms = w->timeout_ms,
		.total_ms = w->timeout_ms,
		.on_body = on_body,
		.on_end = on_end,
		.ctx = w,
	};
	int n = 0;

	snprintf(time, sizeof(time), "%lld", (long long)clk_wall_ms() / 1000);
	spec.headers[n++] = "content-type: application/json";
	spec.headers[n++] = "accept: application/json";
	spec.headers[n++] = "user-agent: agent-fpm/" VERSION;
	spec.headers[n++] =
	    arena_printf(w->arena, "idempotency-key: %s", w->id);
	spec.headers[n++] = arena_printf(w->arena, "webhook-id: %s", w->id);
	spec.headers[n++] =
	    arena_printf(w->arena, "webhook-timestamp: %s", time);
	spec.headers[n++] =
	    arena_printf(w->arena, "webhook-signature: %s", sign(h, w, time));
	if (w->traceparent != NULL && *w->traceparent != '\0')
		spec.headers[n++] =
		    arena_printf(w->arena, "traceparent: %s", w->traceparent);
	buf_init(&w->answer, w->arena);
	w->fetch = NULL;
	w->fetch = fetch_start(h->fetcher, &spec);
}

void
webhook_cancel(struct webhook *w)
{
	if (w->fetch != NULL)
		fetch_cancel(w->fetch);
}
