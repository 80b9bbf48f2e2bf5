/* SPDX-License-Identifier: MIT */
/*
 * One connection of a command. A thread of its own does all of it in a row.
 * A tunnel carries any bytes both ways until both sides have ended; of a
 * request to http:// exactly its head and body are carried, so that a second
 * one cannot follow to another site of the same address.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/err.h"
#include "conf/conf.h"
#include "proxyd/dial.h"
#include "proxyd/relay.h"
#include "proxyd/request.h"

#define PIECE_BYTES 16384
#define HEAD_MS 30000    /* for the head of the request */
#define LINGER_MS 2000   /* for a client to read a refusal */
#define LINGER_BYTES MIB /* of a body that nobody wants */
#define MIB (1024 * 1024)
#define NO_BOUND INT64_MAX

struct relay {
	const struct relay_rules *rules;
	struct arena *arena;
	int client, origin;
	struct buf in; /* what the client sent first */
	struct request rq;
};

/* ---- answers of the proxy itself ---- */

static const struct {
	enum err_code code;
	int status;
	const char *reason;
} refusals[] = {
	{ ERR_REQUEST, 400, "Bad Request" },
	{ ERR_FORBIDDEN, 403, "Forbidden" },
	{ ERR_INVALID, 411, "Length Required" },
	{ ERR_TOO_LARGE, 431, "Request Header Fields Too Large" },
	{ ERR_NONE, 502, "Bad Gateway" }, /* all others */
};

static void
refuse(struct relay *r, const struct err *err)
{
	char text[1024];
	size_t i = 0;
	int n;

	while (refusals[i].code != err->code && refusals[i].code != ERR_NONE)
		i++;
	n = snprintf(text, sizeof(text),
	    "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: %zu\r\nConnection: close\r\n\r\n"
	    "agent-fpm-proxy: %s\n",
	    refusals[i].status, refusals[i].reason,
	    strlen("agent-fpm-proxy: \n") + strlen(err->text), err->text);
	/* A new socket takes so little at once. */
	if (send(r->client, text, (size_t)n, MSG_NOSIGNAL) < 0)
		return;
	shutdown(r->client, SHUT_WR);
}

/* Reads what is still coming, for a while: else a reset eats the answer. */
static void
linger(const struct relay *r)
{
	int64_t deadline = clk_mono_ms() + LINGER_MS;
	char waste[PIECE_BYTES];
	ssize_t n = 1;

	for (size_t all = 0; n > 0 && all < LINGER_BYTES; all += (size_t)n) {
		if (wait_ready(r->client, POLLIN, r->rules->end_fd, deadline) <=
		    0)
			break;
		n = recv(r->client, waste, sizeof(waste), 0);
	}
}

/* ---- the request ---- */

/* 0, or -1: err says why, or it is ERR_CANCELLED and nobody listens. */
static int
read_request(struct relay *r, struct err *err)
{
	int64_t deadline = clk_mono_ms() + HEAD_MS;
	ssize_t n;
	int rc;

	while ((rc = request_read(
		    r->arena, r->in.data, r->in.len, &r->rq, err)) == 0) {
		if (wait_ready(r->client, POLLIN, r->rules->end_fd, deadline) <=
		    0)
			return err_set(err, ERR_CANCELLED, "no request came");
		buf_reserve(&r->in, REQUEST_HEAD_MAX);
		n = recv(
		    r->client, r->in.data + r->in.len, REQUEST_HEAD_MAX, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return err_set(err, ERR_CANCELLED, "it hung up");
		r->in.len += (size_t)n;
	}
	return rc < 0 ? -1 : 0;
}

/* ---- bytes ---- */

/* One direction. */
struct way {
	int from, to;
	char *bytes;
	size_t at, len;
	int64_t left; /* that may be read yet */
	int ended;    /* there is no more to read */
};

static int
wants(const struct way *w)
{
	return !w->ended && w->at == w->len && w->left > 0;
}

/* 0, or -1: the connection is broken. */
static int
way_read(struct way *w)
{
	size_t room = w->left < PIECE_BYTES ? (size_t)w->left : PIECE_BYTES;
	ssize_t n = recv(w->from, w->bytes, room, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0) {
		w->ended = 1;
		shutdown(w->to, SHUT_WR);
		return 0;
	}
	w->at = 0;
	w->len = (size_t)n;
	if (w->left != NO_BOUND)
		w->left -= n;
	return 0;
}

static int
way_write(struct way *w)
{
	ssize_t n = send(w->to, w->bytes + w->at, w->len - w->at, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	w->at += (size_t)n;
	return 0;
}

static int
way_turn(struct way *w, short from_ready, short to_ready)
{
	if (wants(w) && from_ready != 0 && way_read(w) < 0)
		return -1;
	return w->at < w->len && to_ready != 0 ? way_write(w) : 0;
}

static short
events(const struct way *reads, const struct way *writes)
{
	return (short)((wants(reads) ? POLLIN : 0) |
		       (writes->at < writes->len ? POLLOUT : 0));
}

/* Both ways until they have ended, or the origin's if it is no tunnel. */
static void
carry(struct relay *r, struct way *up, struct way *down)
{
	struct pollfd p[3] = { { .fd = r->client }, { .fd = r->origin },
		{ .fd = r->rules->end_fd, .events = POLLIN } };
	int idle_ms = (int)r->rules->conf->sandbox_proxy_idle_timeout_ms;

	while (!down->ended ||
	       (r->rq.is_tunnel && (!up->ended || up->at < up->len))) {
		p[0].events = events(up, down);
		p[1].events = events(down, up);
		if (poll(p, 3, idle_ms) <= 0 || p[2].revents != 0)
			return;
		if (way_turn(up, p[0].revents, p[1].revents) < 0 ||
		    way_turn(down, p[1].revents, p[0].revents) < 0)
			return;
		for (int i = 0; i < 2; i++) /* and nothing wants to know */
			if ((p[i].revents & (POLLERR | POLLHUP | POLLNVAL)) &&
			    (p[i].revents & (POLLIN | POLLOUT)) == 0 &&
			    !wants(i == 0 ? up : down))
				return;
	}
}

/* What the origin is sent first: the head, and of the body what is there. */
static void
first_up(struct relay *r, struct way *up, struct buf *first)
{
	size_t more = r->in.len - r->rq.head_bytes;

	buf_init(first, r->arena);
	if (!r->rq.is_tunnel) {
		buf_add(first, r->rq.head.data, r->rq.head.len);
		if ((int64_t)more > r->rq.body_bytes)
			more = (size_t)r->rq.body_bytes;
		up->left = r->rq.body_bytes - (int64_t)more;
	}
	buf_add(first, r->in.data + r->rq.head_bytes, more);
}

/* All of it, while nothing comes back. 0 or -1. */
static int
send_all(struct relay *r, const struct buf *b)
{
	int64_t deadline =
	    clk_mono_ms() + r->rules->conf->sandbox_proxy_idle_timeout_ms;
	struct way w = {
		.from = -1, .to = r->origin, .bytes = b->data, .len = b->len
	};

	while (w.at < w.len)
		if (wait_ready(w.to, POLLOUT, r->rules->end_fd, deadline) <=
			0 ||
		    way_write(&w) < 0)
			return -1;
	return 0;
}

static void
run(struct relay *r)
{
	static const char connected[] =
	    "HTTP/1.1 200 Connection established\r\n\r\n";
	char bytes[2][PIECE_BYTES];
	struct way up = { .from = r->client,
		.to = r->origin,
		.bytes = bytes[0],
		.left = NO_BOUND };
	struct way down = { .from = r->origin,
		.to = r->client,
		.bytes = bytes[1],
		.left = NO_BOUND };
	struct buf first;

	first_up(r, &up, &first);
	if (r->rq.is_tunnel) {
		memcpy(down.bytes, connected, sizeof(connected) - 1);
		down.len = sizeof(connected) - 1;
	}
	if (send_all(r, &first) == 0)
		carry(r, &up, &down);
	shutdown(r->client, SHUT_WR);
}

void
relay_serve(const struct relay_rules *rules, int fd)
{
	struct relay r = { .rules = rules,
		.arena = arena_open(4096),
		.client = fd,
		.origin = -1 };
	struct err err;

	err_clear(&err);
	buf_init(&r.in, r.arena);
	if (read_request(&r, &err) == 0)
		r.origin = dial(&r.rq.to, rules->hosts, rules->public_only,
		    rules->end_fd,
		    rules->conf->sandbox_proxy_connect_timeout_ms, &err);
	if (r.origin >= 0)
		run(&r);
	else if (err.code != ERR_CANCELLED)
		refuse(&r, &err);
	linger(&r);
	if (r.origin >= 0)
		close(r.origin);
	close(r.client);
	arena_close(&r.arena);
}
