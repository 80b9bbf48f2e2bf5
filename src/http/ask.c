/* SPDX-License-Identifier: MIT */
/*
 * Requests to a FastCGI pool: see ask.h.
 *
 * The pool is asked to close when it has answered, as in the shipped nginx
 * site: a kept connection would pin one of its threads, and a new one costs 20
 * microseconds. Only a whole answer counts, with END_REQUEST; one that is cut
 * is an error, since the pool may have done what was asked for or not.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "http/ask.h"
#include "http/fcgi.h"

#define CHUNK_BYTES 65536

struct ask_list {
	struct ask *first, **tail;
	int count;
};

struct ask {
	struct asker *asker;
	struct ask_list *list; /* it is in one at any time */
	struct ask *next, **prev_next;
	ask_f *fn;
	void *ctx;

	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	struct loop_deferred end;
	struct buf out, in, answer; /* in: records that are not whole */
	size_t sent;
	struct err err;
};

struct asker {
	struct loop *loop;
	struct sockaddr_un address;
	struct asker_limits limits;
	struct ask_list running, waiting, over;
};

/* ---- the lists ---- */

static void
list_leave(struct ask *q)
{
	if (q->list == NULL)
		return;
	q->list->count--;
	*q->prev_next = q->next;
	if (q->next != NULL)
		q->next->prev_next = q->prev_next;
	else
		q->list->tail = q->prev_next;
	q->list = NULL;
}

static void
list_join(struct ask_list *list, struct ask *q)
{
	list_leave(q);
	q->list = list;
	q->next = NULL;
	q->prev_next = list->tail;
	*list->tail = q;
	list->tail = &q->next;
	list->count++;
}

static int
is_over(const struct ask *q)
{
	return q->list == &q->asker->over;
}

static void start_waiting(struct asker *k);

static void
ask_free(struct ask *q)
{
	list_leave(q);
	loop_io_free(&q->io);
	if (q->fd >= 0)
		close(q->fd);
	loop_timer_free(&q->timer);
	buf_fini(&q->out);
	buf_fini(&q->in);
	buf_fini(&q->answer);
	free(q);
}

/* ---- the end ---- */

/* Cuts the head off the answer and reads its status. 0 or -1. */
static int
read_answer(struct ask *q, struct ask_answer *out)
{
	const char *line;
	char *end;

	buf_putc(&q->answer, '\0');
	end = memmem(q->answer.data, q->answer.len, "\r\n\r\n", 4);
	if (end == NULL)
		return err_set(
		    &q->err, ERR_INTERNAL, "the pool's answer has no head");
	out->head = q->answer.data;
	out->body = end + 4;
	out->len = q->answer.len - 1 - (size_t)(out->body - out->head);
	end[2] = '\0';
	out->status = 200;
	for (line = out->head; *line != '\0'; line = strchr(line, '\n') + 1)
		if (strncasecmp(line, "Status:", 7) == 0)
			out->status = atoi(line + 7);
	if (out->status >= 100 && out->status <= 999)
		return 0;
	out->status = 0;
	return err_set(
	    &q->err, ERR_INTERNAL, "the pool's answer has no status");
}

static void
tell(void *arg)
{
	struct ask *q = arg;
	struct asker *k = q->asker;
	struct ask_answer a = { .head = "", .body = "" };
	ask_f *fn = q->fn;

	if (q->err.code == ERR_NONE && read_answer(q, &a) < 0)
		a = (struct ask_answer){ .head = "", .body = "" };
	a.err = q->err;
	if (fn != NULL)
		fn(q->ctx, &a);
	ask_free(q);
	start_waiting(k);
}

/* Once; what is to be said is in q->err. */
static void
finish(struct ask *q)
{
	if (is_over(q))
		return;
	list_join(&q->asker->over, q);
	if (q->io != NULL)
		loop_io_want(q->io, 0);
	loop_timer_stop(q->timer);
	loop_defer(q->asker->loop, &q->end, "ask", tell, q);
}

static void
on_timeout(void *arg)
{
	struct ask *q = arg;

	err_set(&q->err, ERR_TIMEOUT, "the pool did not answer in time");
	finish(q);
}

/* ---- the connection ---- */

static void
write_some(struct ask *q)
{
	ssize_t n;

	while (q->sent < q->out.len) {
		n = send(q->fd, q->out.data + q->sent, q->out.len - q->sent,
		    MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) /* it may have answered all the same: read on */
			n = (ssize_t)(q->out.len - q->sent);
		q->sent += (size_t)n;
	}
	buf_trim(&q->out, 0);
	q->sent = 0;
	loop_io_want(q->io, LOOP_READ);
}

/* All whole records of what came. */
static void
take_records(struct ask *q)
{
	struct fcgi_record r;
	size_t at = 0;
	int rc = 0;

	while (!is_over(q) &&
	       (rc = fcgi_read(q->in.data + at, q->in.len - at, &r)) > 0) {
		at += r.size;
		if (r.kind == FCGI_KIND_STDOUT)
			buf_add(&q->answer, r.data, r.len);
		if (q->answer.len > q->asker->limits.answer_bytes) {
			err_set(&q->err, ERR_TOO_LARGE,
			    "the pool's answer is too large");
			finish(q);
		}
		if (r.kind == FCGI_KIND_END)
			finish(q);
	}
	if (rc < 0) {
		err_set(&q->err, ERR_INTERNAL, "what answers is no FastCGI");
		finish(q);
	}
	buf_consume(&q->in, at);
}

static void
read_some(struct ask *q)
{
	ssize_t n;

	while (!is_over(q)) {
		buf_reserve(&q->in, CHUNK_BYTES);
		n = recv(q->fd, q->in.data + q->in.len, CHUNK_BYTES, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			err_set(&q->err, ERR_INTERNAL,
			    "the pool's answer was cut: it may be done or not");
			finish(q);
			return;
		}
		q->in.len += (size_t)n;
		take_records(q);
	}
}

static void
on_ready(void *arg, int events)
{
	struct ask *q = arg;

	if ((events & LOOP_WRITE) && q->out.len > 0)
		write_some(q);
	if (events & LOOP_READ)
		read_some(q);
}

/* A unix socket is connected at once or not at all. */
static int
connect_there(struct ask *q)
{
	const struct sockaddr_un *to = &q->asker->address;

	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (q->fd < 0 ||
	    connect(q->fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		return err_set(&q->err, ERR_OVERLOAD,
		    "the pool does not answer at %s: %s", to->sun_path,
		    strerror(errno));
	q->io = loop_io_new(q->asker->loop, "ask", q->fd, on_ready, q);
	if (q->io == NULL)
		return err_set(
		    &q->err, ERR_INTERNAL, "the connection cannot be watched");
	return 0;
}

static void
run(struct ask *q)
{
	if (connect_there(q) < 0) {
		finish(q);
		return;
	}
	list_join(&q->asker->running, q);
	loop_io_want(q->io, LOOP_READ | LOOP_WRITE);
}

static void
start_waiting(struct asker *k)
{
	while (k->running.count < k->limits.at_once && k->waiting.first != NULL)
		run(k->waiting.first);
}

/* ---- asking ---- */

static void
add_params(struct buf *b, const struct ask_spec *s)
{
	const char *query = s->query == NULL ? "" : s->query;
	char length[24];
	struct buf uri;

	buf_init(&uri, NULL);
	buf_printf(&uri, "%s%s%s", s->path, *query == '\0' ? "" : "?", query);
	snprintf(length, sizeof(length), "%zu", s->body_len);
	fcgi_put_param(b, "REQUEST_METHOD", s->method);
	fcgi_put_param(b, "REQUEST_URI", buf_str(&uri));
	fcgi_put_param(b, "DOCUMENT_URI", s->path);
	fcgi_put_param(b, "SCRIPT_NAME", s->path);
	fcgi_put_param(b, "QUERY_STRING", query);
	fcgi_put_param(b, "SERVER_PROTOCOL", "HTTP/1.1");
	fcgi_put_param(b, "GATEWAY_INTERFACE", "CGI/1.1");
	fcgi_put_param(b, "REMOTE_ADDR",
	    s->remote_addr == NULL ? "127.0.0.1" : s->remote_addr);
	fcgi_put_param(b, "HTTP_ACCEPT", "application/json");
	fcgi_put_param(b, "CONTENT_TYPE", s->type == NULL ? "" : s->type);
	fcgi_put_param(b, "CONTENT_LENGTH", s->body_len == 0 ? "" : length);
	if (s->authorization != NULL)
		fcgi_put_param(b, "HTTP_AUTHORIZATION", s->authorization);
	buf_fini(&uri);
}

static int
build(struct ask *q, const struct ask_spec *s)
{
	struct buf params;
	int rc = 0;

	buf_init(&params, NULL);
	add_params(&params, s);
	if (params.len > FCGI_PARAMS_MAX)
		rc = err_set(
		    &q->err, ERR_TOO_LARGE, "the request's head is too large");
	else
		fcgi_put_request(&q->out, 1, &params, s->body, s->body_len);
	buf_fini(&params);
	return rc;
}

struct ask *
ask_start(struct asker *k, const struct ask_spec *spec, ask_f *fn, void *ctx)
{
	struct ask *q = calloc(1, sizeof(*q));

	if (q == NULL)
		abort();
	q->asker = k;
	q->fn = fn;
	q->ctx = ctx;
	q->fd = -1;
	q->timer = loop_timer_new(k->loop, "ask", on_timeout, q);
	loop_timer_start(q->timer, k->limits.timeout_ms, 0);
	if (build(q, spec) < 0) {
		finish(q);
	} else if (k->running.count < k->limits.at_once) {
		run(q);
	} else if (k->waiting.count < k->limits.waiting) {
		list_join(&k->waiting, q);
	} else {
		err_set(&q->err, ERR_OVERLOAD,
		    "too many requests wait for the pool");
		finish(q);
	}
	return q;
}

void
ask_cancel(struct ask **q_p)
{
	struct ask *q = *q_p;
	struct asker *k;

	if (q == NULL)
		return;
	*q_p = NULL;
	k = q->asker;
	q->fn = NULL;
	if (is_over(q))
		return; /* tell() frees it */
	ask_free(q);
	start_waiting(k);
}

struct asker *
asker_new(struct loop *l, const char *path, const struct asker_limits *limits)
{
	struct asker *k = calloc(1, sizeof(*k));

	if (k == NULL || strlen(path) >= sizeof(k->address.sun_path))
		abort(); /* the configuration was checked */
	k->loop = l;
	k->limits = *limits;
	k->running.tail = &k->running.first;
	k->waiting.tail = &k->waiting.first;
	k->over.tail = &k->over.first;
	k->address.sun_family = AF_UNIX;
	memcpy(k->address.sun_path, path, strlen(path));
	return k;
}

void
asker_free(struct asker **k_p)
{
	struct asker *k = *k_p;

	if (k == NULL)
		return;
	*k_p = NULL;
	while (k->running.first != NULL)
		ask_free(k->running.first);
	while (k->waiting.first != NULL)
		ask_free(k->waiting.first);
	while (k->over.first != NULL)
		ask_free(k->over.first);
	free(k);
}
