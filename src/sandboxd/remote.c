/* SPDX-License-Identifier: MIT */
/*
 * Requests of workers on other hosts, by FastCGI behind an nginx that has
 * ended TLS and looked at the caller (nginx/runner.conf). The token is checked
 * here too, so that a mistake there, or somebody else who can connect to the
 * socket, opens nothing.
 *
 * One request is one frame. A thread reads it whole, which nginx has whole,
 * and gives the connection to the server's loop: a call that takes minutes
 * holds no thread here.
 */
#include "config.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/gate.h"
#include "base/log.h"
#include "conf/conf.h"
#include "http/accept.h"
#include "http/request.h"
#include "http/response.h"
#include "sandbox/frame.h"
#include "sandbox/token.h"
#include "sandboxd/remote.h"
#include "sandboxd/server.h"

#define THREADS 8
#define HEADER_MAX 8192

struct remote {
	const struct conf *conf;
	struct server *server;
	struct buf token;
	struct gate gate;
	struct acceptor *acceptor;
};

/* In a time that says nothing about the token. */
static int
check_token(
    const struct remote *r, const struct http_request *rq, struct err *err)
{
	const char *h = http_header(rq, "HTTP_AUTHORIZATION");

	if (h == NULL || strncasecmp(h, "Bearer ", 7) != 0)
		return err_set(err, ERR_UNAUTHORIZED, "there is no token");
	h += 7;
	if (strlen(h) != r->token.len ||
	    CRYPTO_memcmp(h, r->token.data, r->token.len) != 0)
		return err_set(err, ERR_UNAUTHORIZED,
		    "the token is not that of sandbox.token_file");
	return 0;
}

/* What is wrong with a request before its body is looked at. */
static int
check_head(
    const struct remote *r, const struct http_request *rq, struct err *err)
{
	const char *type = http_header(rq, "CONTENT_TYPE");

	if (http_check_headers(rq, HEADER_MAX, err) < 0 ||
	    check_token(r, rq, err) < 0)
		return -1;
	if (strcmp(rq->method, "POST") != 0)
		return err_set(err, ERR_METHOD, "a call is a POST");
	if (type == NULL || strcmp(type, FRAME_MEDIA_TYPE) != 0)
		return err_set(err, ERR_MEDIA_TYPE,
		    "a call is sent with Content-Type: " FRAME_MEDIA_TYPE);
	return 0;
}

/* The job of the body; NULL and err. */
static struct job *
read_job(struct remote *r, struct http_request *rq, struct err *err)
{
	struct frame_view f;
	struct job *j = NULL;

	if (http_read_body(rq, FRAME_MAX, err) < 0)
		return NULL;
	if (frame_read(buf_str(&rq->body), rq->body.len, &f, NULL) > 0 &&
	    f.size == rq->body.len)
		j = server_job(r->server, &f);
	if (j == NULL)
		err_set(err, ERR_REQUEST,
		    "the body is not one frame of the protocol");
	return j;
}

static void
serve(void *ctx, struct FCGX_Request *fcgi)
{
	struct remote *r = ctx;
	struct arena *a = arena_open(8192);
	struct http_request rq;
	struct http_response rs;
	struct job *j = NULL;
	struct err err;
	int fd, id;

	http_request_init(&rq, a, fcgi);
	buf_init(&rq.body, NULL); /* grows without leaving copies behind */
	http_response_init(&rs, a);
	log_context_set(rq.id, "", "");
	if (check_head(r, &rq, &err) == 0)
		j = read_job(r, &rq, &err);
	if (j == NULL) {
		log_info("a call was refused: %s", err.text);
		if (err.code == ERR_METHOD)
			http_header_add(&rs, "Allow", "POST");
		http_problem(&rs, &rq, &err);
		http_send(&rq, &rs);
	} else {
		http_detach(&rq, &fd, &id);
		server_request(r->server, fd, id, j);
	}
	log_context_set("", "", "");
	buf_fini(&rq.body);
	arena_close(&a);
}

struct remote *
remote_open(const struct conf *c, struct server *s, struct err *err)
{
	struct remote *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		abort();
	r->conf = c;
	r->server = s;
	r->gate = (struct gate){ .fd = -1,
		.path = c->sandbox_fastcgi,
		.path_setting = "sandbox.fastcgi",
		.group = c->sandbox_fastcgi_group,
		.group_setting = "sandbox.fastcgi_group",
		.client = "" };
	rc = sandbox_token_read(c, &r->token, err);
	if (rc == 0)
		err_set(err, ERR_CONFIG,
		    "sandbox.fastcgi needs sandbox.token_file: a file with "
		    "the token that workers show");
	if (rc <= 0 || gate_open(&r->gate, err) < 0)
		remote_close(&r);
	return r;
}

void
remote_start(struct remote *r)
{
	r->acceptor = acceptor_start(r->gate.fd, THREADS, serve, r);
}

void
remote_close(struct remote **r_p)
{
	struct remote *r = *r_p;

	if (r == NULL)
		return;
	*r_p = NULL;
	acceptor_stop(&r->acceptor);
	gate_close(&r->gate);
	conf_wipe(&r->token);
	free(r);
}
