/* SPDX-License-Identifier: MIT */
/*
 * A client: one connection that carries one request after another, and
 * decides of each whether it was answered. Sockets are edge triggered and
 * registered once. A read that does not fill the buffer emptied the socket,
 * unless epoll also said that the peer closed.
 *
 * Whatever ends a request (an answer, an error, a deadline) passes through
 * client_idle and then starts the next one; a request that cannot even start
 * ends its client, so that this cannot recurse.
 */
#include "config.h"

#include <err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clk.h"
#include "load.h"

#define CLIENT_LINE_MAX (8 << 20) /* a line of a stream, a JSON answer */

/* Body bytes of a stream, cut into lines; of JSON, collected. */
static int
client_body(void *arg, const char *p, size_t len)
{
	struct client *c = arg;
	const char *eol;
	size_t n;

	while (load_run.request != LOAD_CREATE &&
	       (eol = memchr(p, '\n', len)) != NULL) {
		n = (size_t)(eol - p);
		if (c->line.len > 0) {
			buf_add(&c->line, p, n);
			load_api_line(c, c->line.data, c->line.len);
			buf_clear(&c->line);
		} else {
			load_api_line(c, p, n);
		}
		p = eol + 1;
		len -= n + 1;
	}
	if (len > 0)
		buf_add(&c->line, p, len);
	return c->line.len > CLIENT_LINE_MAX ? -1 : 0;
}

void
client_hang_up(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* The request is over, one way or the other. */
static void
client_idle(struct client *c)
{
	c->active = 0;
	load_count.active--;
	load_count.opening -= (size_t)c->fresh;
	load_count.held -= (size_t)c->held;
	c->fresh = c->held = 0;
	load_count.tokens += c->tokens;
}

/* What follows a request. With a rate it is the clock that starts the next. */
static void
client_again(struct client *c)
{
	if (load_opt.rate == 0)
		client_next_request(c);
}

void
client_fail(struct client *c, enum load_fail why)
{
	client_idle(c);
	load_count.fails[why]++;
	load_count.errors++;
	client_hang_up(c);
	client_again(c);
}

/* The HTTP message is whole: is it an answer? */
static enum load_fail
client_verdict(struct client *c)
{
	if (load_run.request == LOAD_DELETE)
		return FAIL_COUNT;
	if (load_run.request == LOAD_CREATE)
		return load_api_created(c) < 0 ? FAIL_FORMAT : FAIL_COUNT;
	if (c->failed)
		return FAIL_EVENT;
	if (!c->done)
		return FAIL_CUT;
	if (load_opt.expect >= 0 && c->tokens != load_opt.expect)
		return FAIL_SHORT;
	return FAIL_COUNT;
}

static void
client_finish(struct client *c)
{
	enum load_fail why = client_verdict(c);

	if (why != FAIL_COUNT) {
		client_fail(c, why);
		return;
	}
	client_idle(c);
	load_count.ok++;
	load_count.in_time += c->read_us <= load_run.end_us;
	net_hist_add(&load_count.turn, c->read_us - c->start_us);
	if (!c->in.keep || load_opt.close)
		client_hang_up(c);
	client_again(c);
}

/* 0, or -1 if the socket is broken. */
static int
client_send(struct client *c)
{
	ssize_t n;

	while (c->sent < c->out.len) {
		n = net_send(
		    c->fd, c->out.data + c->sent, c->out.len - c->sent);
		if (n == -2)
			return 0;
		if (n < 0)
			return -1;
		c->connected = 1;
		c->sent += (size_t)n;
	}
	return 0;
}

static int
client_connect(struct client *c)
{
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = c,
	};

	c->fd = net_connect(load_opt.port);
	if (c->fd < 0)
		return -1;
	c->connected = 0;
	if (epoll_ctl(load_run.epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		err(EX_OSERR, "epoll_ctl");
	return 0;
}

static void
client_prepare(struct client *c)
{
	http_reset(&c->in, 0);
	buf_clear(&c->line);
	buf_clear(&c->out);
	c->sent = 0;
	c->tokens = c->done = c->failed = 0;
	c->text_us = 0;
	c->active = c->fresh = 1;
	c->request = load_count.requests++;
	load_run.api->make[load_run.request](c);
	load_run.budget--;
	load_count.active++;
	load_count.opening++;
}

void
client_next_request(struct client *c)
{
	int64_t now_us = clk_mono_us();
	int rc = 0;

	if (load_run.budget <= 0 || now_us >= load_run.end_us ||
	    load_count.errors >= load_opt.errors) {
		client_hang_up(c);
		return;
	}
	client_prepare(c);
	c->start_us = now_us;
	if (c->fd < 0)
		rc = client_connect(c);
	if (rc == 0)
		rc = client_send(c);
	if (rc < 0) {
		client_idle(c);
		load_count.fails[FAIL_CONNECT]++;
		load_count.errors++;
		client_hang_up(c);
	}
}

static int
is_good(int status)
{
	return status == 200 || status == 201 || status == 204;
}

/* The first byte, and the header once it is whole. 0, or -1: failed. */
static int
client_header(struct client *c)
{
	if (c->fresh) {
		c->fresh = 0;
		load_count.opening--;
		net_hist_add(&load_count.byte, c->read_us - c->start_us);
	}
	if (c->in.part == HTTP_HEAD)
		return 0;
	if (!is_good(c->in.status)) {
		if (c->in.status > 0 && c->in.status < 600)
			load_count.status[c->in.status]++;
		client_fail(c, FAIL_STATUS);
		return -1;
	}
	if (load_run.hold && !c->held) {
		c->held = 1;
		load_count.held++;
	}
	return 0;
}

/* Gives what was read to the message. 1 go on reading, 0 it is over. */
static int
client_bytes(struct client *c, const char *p, size_t len)
{
	ssize_t used;

	c->read_us = clk_mono_us();
	load_count.bytes += len;
	used = http_feed(&c->in, p, len, client_body, c);
	if (used < 0 || (size_t)used < len) {
		client_fail(c, FAIL_FORMAT);
		return 0;
	}
	if (client_header(c) < 0)
		return 0;
	if (c->in.part == HTTP_DONE) {
		client_finish(c);
		return 0;
	}
	return 1;
}

static void
client_eof(struct client *c)
{
	c->read_us = clk_mono_us();
	if (c->in.part == HTTP_UNTIL_EOF)
		client_finish(c);
	else
		client_fail(c, FAIL_CUT);
}

static void
client_read(struct client *c, int closing)
{
	static char bytes[65536];
	ssize_t n;

	do {
		n = net_recv(c->fd, bytes, sizeof(bytes));
		if (n == -2)
			return;
		if (n == 0) {
			client_eof(c);
			return;
		}
		if (n < 0) {
			client_fail(
			    c, c->connected ? FAIL_RESET : FAIL_CONNECT);
			return;
		}
		if (!client_bytes(c, bytes, (size_t)n))
			return;
	} while (closing || (size_t)n == sizeof(bytes));
}

void
client_event(struct client *c, uint32_t events)
{
	int closing = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;

	if (!c->active) {
		if (closing)
			client_hang_up(c);
		return;
	}
	if ((events & EPOLLOUT) && client_send(c) < 0) {
		client_fail(c, c->connected ? FAIL_RESET : FAIL_CONNECT);
		return;
	}
	if (closing || (events & EPOLLIN))
		client_read(c, closing);
}
