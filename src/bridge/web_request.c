/* SPDX-License-Identifier: MIT */
/*
 * Requests, and their answers: of HTTP libwebsockets does the parsing. What is
 * answered is put together here, byte for byte, since clients compare.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/buf.h"
#include "bridge/web_priv.h"

void
web_request_drop(struct web_conn *c)
{
	c->request = NULL;
	arena_close(&c->arena);
	buf_trim(&c->in, 0);
}

static const char *
header(struct web_conn *c, struct lws *wsi, enum lws_token_indexes token)
{
	int n = lws_hdr_total_length(wsi, token);
	char *text;

	if (n <= 0)
		return "";
	text = arena_alloc(c->arena, (size_t)n + 1);
	return lws_hdr_copy(wsi, text, n + 1, token) < 0 ? "" : text;
}

static const char *
method_name(int method)
{
	switch (method) {
	case LWSHUMETH_GET:
		return "GET";
	case LWSHUMETH_POST:
		return "POST";
	case LWSHUMETH_OPTIONS:
		return "OPTIONS";
	default:
		return "other";
	}
}

/* What is known of a request before its body; c->arena has it. */
static void
request_read(struct web_conn *c, struct lws *wsi)
{
	struct web_request *rq;
	char *uri = NULL;
	int len = 0, method;

	web_request_drop(c);
	c->arena = arena_open(1024);
	rq = c->request = arena_new(c->arena, struct web_request);
	method = lws_http_get_uri_and_method(wsi, &uri, &len);
	*rq = (struct web_request){ .conn = c,
		.method = method_name(method),
		.path =
		    method < 0 ? "" : arena_memdup(c->arena, uri, (size_t)len),
		.host = header(c, wsi, WSI_TOKEN_HOST),
		.origin = header(c, wsi, WSI_TOKEN_ORIGIN),
		.authorization = header(c, wsi, WSI_TOKEN_HTTP_AUTHORIZATION),
		.type = header(c, wsi, WSI_TOKEN_HTTP_CONTENT_TYPE),
		.address = header(c, wsi, WSI_TOKEN_X_FORWARDED_FOR),
		.wanted_headers =
		    header(c, wsi, WSI_TOKEN_HTTP_AC_REQUEST_HEADERS),
		.body = "" };
	c->wsi = wsi;
	c->met = 1;
	c->known = 0;
}

const char *
web_query(const struct web_request *rq, const char *name)
{
	struct web_conn *c = rq->conn;
	size_t len = strlen(name);
	char *text;
	int n;

	for (int i = 0; (n = lws_hdr_fragment_length(
			     c->wsi, WSI_TOKEN_HTTP_URI_ARGS, i)) > 0;
	     i++) {
		text = arena_alloc(c->arena, (size_t)n + 1);
		if (lws_hdr_copy_fragment(
			c->wsi, text, n + 1, WSI_TOKEN_HTTP_URI_ARGS, i) < 0)
			continue;
		if (strncmp(text, name, len) != 0)
			continue;
		if (text[len] == '=' || text[len] == '\0')
			return text + len + (text[len] == '=');
	}
	return NULL;
}

static const char *
reason_phrase(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 204:
		return "No Content";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 413:
		return "Payload Too Large";
	case 426:
		return "Upgrade Required";
	case 429:
		return "Too Many Requests";
	default:
		return "Service Unavailable";
	}
}

static void
answer_put(struct buf *b, const struct web_answer *a)
{
	buf_printf(
	    b, "HTTP/1.1 %d %s\r\n", a->status, reason_phrase(a->status));
	if (a->type != NULL)
		buf_printf(b, "Content-Type: %s\r\n", a->type);
	if (a->status != 204)
		buf_printf(b, "Content-Length: %zu\r\n", a->len);
	buf_printf(b, "%s\r\n", a->headers);
	buf_add(b, a->body, a->len);
}

void
web_answer(struct web_conn *c, const struct web_answer *a)
{
	if (c->answered || c->websocket)
		return;
	buf_clear(&c->out);
	answer_put(&c->out, a);
	c->answered = 1;
	/* It writes to nobody from whom it may not read. */
	web_go_on(c);
	lws_callback_on_writable(c->wsi);
}

int
web_is_there(const struct web_conn *c)
{
	char byte;
	ssize_t n =
	    recv(lws_get_socket_fd(c->wsi), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* What libwebsockets wants of who writes: room before it. */
int
web_write(struct lws *wsi, struct buf *b, enum lws_write_protocol how)
{
	struct buf room;
	int rc;

	buf_init(&room, NULL);
	buf_reserve(&room, LWS_PRE + b->len);
	memcpy(room.data + LWS_PRE, b->data, b->len);
	rc = lws_write(wsi, (unsigned char *)room.data + LWS_PRE, b->len, how);
	buf_fini(&room);
	return rc < 0 ? -1 : 0;
}

/* 0: the connection goes on, for other requests. */
int
web_on_http_writable(struct web_conn *c, struct lws *wsi)
{
	if (!c->answered)
		return 0;
	c->answered = 0;
	if (web_write(wsi, &c->out, LWS_WRITE_HTTP_FINAL) < 0)
		return -1;
	buf_trim(&c->out, 0);
	web_request_drop(c);
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

int
web_on_http(struct web_conn *c, struct lws *wsi)
{
	struct web *w = c->web;

	request_read(c, wsi);
	c->too_large = 0;
	if (strcmp(c->request->method, "POST") == 0) {
		c->known = w->calls.is_known(w->calls.ctx, c->request) != 0;
		return 0; /* its body comes */
	}
	/* A poll is held for as long as a heartbeat takes. */
	lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
	w->calls.on_request(w->calls.ctx, c->request);
	return 0;
}

int
web_on_body(struct web_conn *c, const char *data, size_t len)
{
	if (c->in.len + len > web_message_bytes(c)) {
		c->too_large = 1;
		buf_trim(&c->in, 0);
	}
	if (!c->too_large)
		buf_add(&c->in, data, len);
	return 0;
}

int
web_on_body_end(struct web_conn *c, struct lws *wsi)
{
	struct web *w = c->web;

	if (c->request == NULL)
		return -1;
	lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
	if (c->too_large) {
		web_answer(c, &(const struct web_answer){
				  .status = 413, .headers = "", .body = "" });
		return 0;
	}
	c->request->body = buf_str(&c->in);
	c->request->len = c->in.len;
	w->calls.on_request(w->calls.ctx, c->request);
	return 0;
}

/* 13 is RFC 6455's; 8, of a draft that has the same frames, is what some old
 * clients say. */
static int
is_version_known(const char *version, struct web_answer *refusal)
{
	if (strcmp(version, "13") == 0 || strcmp(version, "8") == 0)
		return 1;
	refusal->status = 426;
	refusal->headers = "Connection: close\r\nSec-WebSocket-Version: 13\r\n";
	return 0;
}

/* 0 it may become a WebSocket, 1 it was answered. */
int
web_on_upgrade(struct web_conn *c, struct lws *wsi)
{
	struct web *w = c->web;
	struct web_answer no = { .headers = "Connection: close\r\n",
		.body = "" };
	int rc;

	request_read(c, wsi);
	c->request->upgrade = 1;
	rc = is_version_known(header(c, wsi, WSI_TOKEN_VERSION), &no) &&
	     w->calls.on_upgrade(w->calls.ctx, c->request, &no);
	if (rc == 0) {
		answer_put(&c->out, &no);
		rc = web_write(wsi, &c->out, LWS_WRITE_HTTP_FINAL);
		web_request_drop(c);
		return rc < 0 ? -1 : 1;
	}
	web_request_drop(c);
	return 0;
}
