/* SPDX-License-Identifier: MIT */
/* Calls by sandbox.socket: all have one connection, and answers their ids. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "sandbox/client.h"
#include "sandbox/client_priv.h"
#include "sandbox/frame.h"

static void
refuse(struct sandbox *s, const char *why)
{
	snprintf(s->refused, sizeof(s->refused), "%s", why);
}

/* What was sent fails. An owner that starts a call meanwhile connects anew. */
static void
connection_drop(struct sandbox *s, const char *why)
{
	uint64_t last = s->last_id;
	struct sandbox_call *c;

	log_warn("the sandbox's connection broke: %s", why);
	channel_close(&s->channel);
	refuse(s, why);
	do {
		for (c = s->calls; c != NULL; c = c->next)
			if (c->sent && !c->waits && c->id <= last)
				break;
		if (c != NULL)
			sandbox_call_fail(s, c, ERR_UNCERTAIN,
			    "the sandbox went away in the middle of the call");
	} while (c != NULL);
}

static void
connection_flush(struct sandbox *s)
{
	const char *why = channel_flush(&s->channel);

	if (why != NULL)
		connection_drop(s, why);
}

/* An answer, or a part of one. 0, or -1: it is none. */
static int
on_frame(void *ctx, const struct frame_view *f)
{
	struct sandbox *s = ctx;
	struct sandbox_answer an;
	struct sandbox_call *c;

	if (sandbox_answer_read(&an, f) < 0)
		return -1;
	c = sandbox_call_find(s, an.id);
	if (c != NULL && !an.more) {
		sandbox_answer_take(s, c, &an, f->data, f->data_len);
		return 0;
	}
	if (c != NULL && c->on_more != NULL)
		c->on_more(c->ctx, f->data, f->data_len);
	arena_close(&an.arena);
	return 0; /* without a call: it was cancelled, or took too long */
}

static void
on_ready(void *arg, int events)
{
	struct sandbox *s = arg;
	const char *why;

	if (events & LOOP_WRITE)
		connection_flush(s);
	if (s->channel.fd < 0 || (events & (LOOP_READ | LOOP_HUP)) == 0)
		return;
	why = channel_read(&s->channel, on_frame, s);
	if (why != NULL)
		connection_drop(s, *why == '\0' ? "it hung up" : why);
}

/* Does not block on a unix socket. */
static int
by_unix_open(struct sandbox *s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (s->channel.fd >= 0)
		return 0;
	memcpy(sun.sun_path, s->where, strlen(s->where));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		refuse(s, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	channel_open(&s->channel, s->loop, fd, on_ready, s);
	return 0;
}

static void
by_unix_send(struct sandbox *s, struct sandbox_call *c)
{
	sandbox_call_write(c, &s->channel.out);
	c->sent = 1;
}

/* A command is ended; other operations are soon over by themselves. */
static void
by_unix_cancel(struct sandbox *s, struct sandbox_call *c)
{
	char json[96];
	int n = snprintf(json, sizeof(json),
	    "{\"id\":%llu,\"op\":\"cancel\",\"target\":%llu}",
	    (unsigned long long)++s->last_id, (unsigned long long)c->id);

	if (s->channel.fd < 0)
		return;
	frame_write(&s->channel.out, json, (size_t)n, NULL, 0);
	connection_flush(s);
}

static int
by_unix_init(struct sandbox *s, struct err *err)
{
	struct sockaddr_un sun;

	s->where = s->conf->sandbox_socket;
	if (strlen(s->where) >= sizeof(sun.sun_path))
		return err_set(
		    err, ERR_CONFIG, "sandbox.socket: the path is too long");
	return 0;
}

static void
by_unix_fini(struct sandbox *s)
{
	channel_close(&s->channel);
}

const struct sandbox_transport sandbox_by_unix = { by_unix_init, by_unix_fini,
	by_unix_open, by_unix_send, connection_flush, by_unix_cancel };
