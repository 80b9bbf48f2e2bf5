/* SPDX-License-Identifier: MIT */
/*
 * bench-model: a model that speaks the Anthropic Messages stream at a given
 * pace and costs next to nothing, so that a benchmark on two cores measures
 * what stands before it.
 *
 * A response is never built. It is a string that exists once in memory: a
 * constant head (HTTP header, message_start, content_block_start, ping), the
 * first N of a table of precomputed events, each already wrapped as an HTTP
 * chunk, and a short tail with the usage. A stream is two numbers: how many
 * bytes were sent and how many its pace allows by now. One writev sends what
 * lies between. A slow reader is thus no special case: it catches up.
 *
 * Pacing: the first token leaves with the head, token k at k/rate seconds
 * after the request, on an absolute schedule, so lateness does not add up.
 * Streams that wait lie in a time wheel with slots of 1 ms.
 *
 * Sockets are edge triggered and registered once. While a response runs
 * nothing is read from its connection; pipelined requests wait in the socket
 * or in pending. A peer that closes, even half, ends its stream.
 *
 * One thread. On SIGTERM or SIGINT it prints one JSON line and exits.
 */
#include "config.h"

#include <err.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/uio.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clk.h"
#include "http.h"
#include "net.h"

#define MODEL_TOKENS_MAX 100000
#define MODEL_BODY_MAX (64 << 20)
#define MODEL_END 1024   /* what is kept of a body, on either side */
#define MODEL_WHEEL 4096 /* slots of 1 ms */
#define MODEL_TAIL 1024

/*
 * Of a request's body its first and last bytes: the member model stands
 * before the conversation or behind it, and who asks with long ones should not
 * pay for copies of them here.
 */
struct body {
	char first[MODEL_END + 1], last[MODEL_END + 1];
	size_t first_len, last_len, len;
};

struct conn {
	int fd;
	struct http in;
	struct body body;
	struct buf pending; /* bytes behind the request that is answered */
	int busy;           /* a response is being sent */
	int keep;
	/* the response: head, events and tail as one string */
	const char *head;
	size_t head_len;
	char tail[MODEL_TAIL];
	size_t tail_len;
	size_t sent;
	int tokens;
	int shown; /* tokens that are due */
	double rate;
	int64_t start_us;
	/* in the wheel */
	int waiting;
	int64_t due_ms;
	LIST_ENTRY(conn) link;
};

LIST_HEAD(conn_list, conn);

static struct {
	int port;
	int tokens;
	double rate;
	int each;
} opt = { 0, 100, 0, 0 };

static const struct net_opt opt_table[] = {
	{ "port", NET_INT, &opt.port, 0, 65535, "port, 0 for any (0)" },
	{ "tokens", NET_INT, &opt.tokens, 0, MODEL_TOKENS_MAX,
	    "text deltas of an answer (100)" },
	{ "rate", NET_DOUBLE, &opt.rate, 0, 1e6,
	    "tokens per second, 0 for full speed (0)" },
	{ "each", NET_FLAG, &opt.each, 0, 0,
	    "at full speed, a write of its own for each token" },
	{ NULL, NET_FLAG, NULL, 0, 0, NULL },
};

static const char synopsis[] =
    "bench-model [--port N] [--tokens N] [--rate R] [--each]\n"
    "a request for model \"paced-TOKENS-RATE\" overrides both";

static int epoll_fd;
static int listener;
static int signal_fd;

static struct buf head;   /* what every stream begins with */
static struct buf events; /* all text deltas, one behind the other */
static size_t events_end[MODEL_TOKENS_MAX + 1]; /* where token n ends */
static int events_count;

static struct conn_list wheel[MODEL_WHEEL];
static int64_t wheel_ms; /* the slots up to it are done */
static size_t wheel_count;

static struct {
	uint64_t accepted, requests, tokens, completed, left;
	size_t open, open_max;
	struct net_hist late;
} count;

/* Appends an event as one HTTP chunk. */
static void
event_add(struct buf *b, const char *type, const char *data)
{
	size_t len = strlen(type) + strlen(data) + 16;

	buf_printf(b, "%zx\r\nevent: %s\ndata: %s\n\n\r\n", len, type, data);
}

static void
head_make(void)
{
	buf_init(&head, NULL);
	buf_puts(&head, "HTTP/1.1 200 OK\r\n"
			"Content-Type: text/event-stream; charset=utf-8\r\n"
			"Cache-Control: no-cache\r\n"
			"request-id: req_bench\r\n"
			"Transfer-Encoding: chunked\r\n\r\n");
	event_add(&head, "message_start",
	    "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_bench\","
	    "\"type\":\"message\",\"role\":\"assistant\","
	    "\"model\":\"bench-model\",\"content\":[],\"stop_reason\":null,"
	    "\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,"
	    "\"cache_creation_input_tokens\":0,"
	    "\"cache_read_input_tokens\":0,\"output_tokens\":1}}}");
	event_add(&head, "content_block_start",
	    "{\"type\":\"content_block_start\",\"index\":0,"
	    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}");
	event_add(&head, "ping", "{\"type\": \"ping\"}");
}

/* Makes the table hold at least n tokens. */
static void
events_grow(int n)
{
	char data[160];

	for (; events_count < n; events_count++) {
		snprintf(data, sizeof(data),
		    "{\"type\":\"content_block_delta\",\"index\":0,"
		    "\"delta\":{\"type\":\"text_delta\","
		    "\"text\":\"tok%d \"}}",
		    events_count + 1);
		event_add(&events, "content_block_delta", data);
		events_end[events_count + 1] = events.len;
	}
}

static size_t
tail_make(char out[MODEL_TAIL], int tokens)
{
	char data[200];
	struct buf b;
	size_t len;

	buf_init(&b, NULL);
	event_add(&b, "content_block_stop",
	    "{\"type\":\"content_block_stop\",\"index\":0}");
	snprintf(data, sizeof(data),
	    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
	    "\"end_turn\",\"stop_sequence\":null},"
	    "\"usage\":{\"output_tokens\":%d}}",
	    tokens);
	event_add(&b, "message_delta", data);
	event_add(&b, "message_stop", "{\"type\":\"message_stop\"}");
	buf_puts(&b, "0\r\n\r\n");
	len = b.len;
	memcpy(out, b.data, len);
	buf_fini(&b);
	return len;
}

/* When the next token is due that was not shown yet. */
static int64_t
conn_due_us(const struct conn *c)
{
	return c->start_us + (int64_t)(c->shown * 1e6 / c->rate);
}

static void
wheel_add(struct conn *c)
{
	if (c->due_ms <= wheel_ms)
		c->due_ms = wheel_ms + 1;
	LIST_INSERT_HEAD(&wheel[c->due_ms % MODEL_WHEEL], c, link);
	c->waiting = 1;
	wheel_count++;
}

static void
wheel_remove(struct conn *c)
{
	if (!c->waiting)
		return;
	LIST_REMOVE(c, link);
	c->waiting = 0;
	wheel_count--;
}

static void
conn_close(struct conn *c)
{
	wheel_remove(c);
	close(c->fd);
	http_fini(&c->in);
	buf_fini(&c->pending);
	count.left += (uint64_t)c->busy;
	count.open--;
	free(c);
}

/* Counts the tokens that are due by now. */
static void
response_pace(struct conn *c)
{
	int64_t now_us = clk_mono_us();
	int64_t due_us;
	double due;

	if (c->shown == c->tokens)
		return;
	due_us = conn_due_us(c);
	if (due_us > now_us)
		return;
	if (c->shown > 0)
		net_hist_add(&count.late, now_us - due_us);
	due = floor((double)(now_us - c->start_us) * c->rate / 1e6) + 1;
	c->shown = due < c->tokens ? (int)due : c->tokens;
}

/* Adds the bytes of one part that lie in [sent, limit) to the vector. */
static int
response_part(const struct conn *c, struct iovec *iov, const char *part,
    size_t begin, size_t end, size_t limit)
{
	size_t from = c->sent > begin ? c->sent : begin;
	size_t to = end < limit ? end : limit;

	if (from >= to)
		return 0;
	iov->iov_base = (void *)(uintptr_t)(part + (from - begin));
	iov->iov_len = to - from;
	return 1;
}

/* 1 all that limit allows is sent, 0 the socket is full, -1 it is gone. */
static int
response_write(struct conn *c, size_t limit)
{
	size_t tail = c->head_len + events_end[c->tokens];
	struct iovec iov[3];
	ssize_t wrote;
	int n;

	while (c->sent < limit) {
		n = response_part(c, iov, c->head, 0, c->head_len, limit);
		n += response_part(
		    c, iov + n, events.data, c->head_len, tail, limit);
		n += response_part(
		    c, iov + n, c->tail, tail, tail + c->tail_len, limit);
		wrote = writev(c->fd, iov, n);
		if (wrote < 0 && errno == EAGAIN)
			return 0;
		if (wrote < 0)
			return -1;
		c->sent += (size_t)wrote;
	}
	return 1;
}

/* --each: one write per token, as a provider's packets come. As above. */
static int
response_each(struct conn *c)
{
	int rc = 1;

	while (rc > 0 && c->shown < c->tokens) {
		c->shown++;
		rc = response_write(c, c->head_len + events_end[c->shown]);
	}
	return rc;
}

/* 1 the response is out, 0 it goes on later, -1 the peer is gone. */
static int
response_push(struct conn *c)
{
	size_t total = c->head_len + events_end[c->tokens] + c->tail_len;
	size_t limit = total;
	int rc = 1;

	if (c->rate > 0)
		response_pace(c);
	else
		rc = response_each(c);
	if (rc <= 0)
		return rc;
	if (c->shown < c->tokens)
		limit = c->head_len + events_end[c->shown];
	rc = response_write(c, limit);
	if (rc <= 0)
		return rc;
	if (limit < total) {
		wheel_remove(c);
		c->due_ms = (conn_due_us(c) + 999) / 1000;
		wheel_add(c);
		return 0;
	}
	c->busy = 0;
	count.completed++;
	count.tokens += (uint64_t)c->tokens;
	return c->keep ? 1 : -1;
}

/* An answer that is no stream. */
static void
response_plain(struct conn *c, const char *status)
{
	const char *body = "{\"type\":\"error\",\"error\":{\"type\":"
			   "\"not_found_error\",\"message\":\"bench-model "
			   "knows POST /v1/messages\"}}";

	c->head_len = 0;
	c->tokens = c->shown = 0;
	c->tail_len = (size_t)snprintf(c->tail, sizeof(c->tail),
	    "HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
	    "Content-Length: %zu\r\n\r\n%s",
	    status, strlen(body), body);
}

static void
body_clear(struct body *b)
{
	b->first_len = b->last_len = b->len = 0;
	b->first[0] = b->last[0] = '\0';
}

static void
body_add(struct body *b, const char *p, size_t len)
{
	size_t n = MODEL_END - b->first_len, drop;

	b->len += len;
	n = n < len ? n : len;
	memcpy(b->first + b->first_len, p, n);
	b->first_len += n;
	b->first[b->first_len] = '\0';
	p += n;
	len -= n;
	if (len > MODEL_END) {
		p += len - MODEL_END;
		len = MODEL_END;
	}
	drop =
	    b->last_len + len > MODEL_END ? b->last_len + len - MODEL_END : 0;
	memmove(b->last, b->last + drop, b->last_len - drop);
	b->last_len -= drop;
	memcpy(b->last + b->last_len, p, len);
	b->last_len += len;
	b->last[b->last_len] = '\0';
}

/* Tokens and rate: what the model's name says, else the options. */
static void
request_pace(struct conn *c)
{
	static const char member[] = "\"model\"";
	const char *p = strstr(c->body.first, member);
	int tokens;
	double rate;

	c->tokens = opt.tokens;
	c->rate = opt.rate;
	if (p == NULL)
		p = strstr(c->body.last, member);
	if (p == NULL || sscanf(p + sizeof(member) - 1, " : \"paced-%d-%lf\"",
			     &tokens, &rate) != 2)
		return;
	if (tokens >= 0 && tokens <= MODEL_TOKENS_MAX && rate >= 0) {
		c->tokens = tokens;
		c->rate = rate;
	}
}

static void
response_start(struct conn *c)
{
	const char *start = buf_str(&c->in.head);

	count.requests++;
	c->busy = 1;
	c->keep = c->in.keep;
	c->sent = 0;
	c->start_us = clk_mono_us();
	if (strncmp(start, "POST /v1/messages", 17) == 0 &&
	    strchr(" ?", start[17]) != NULL) {
		request_pace(c);
		events_grow(c->tokens);
		c->head = head.data;
		c->head_len = head.len;
		c->shown = c->rate > 0 || opt.each ? 0 : c->tokens;
		c->tail_len = tail_make(c->tail, c->tokens);
	} else {
		response_plain(c, "404 Not Found");
	}
	body_clear(&c->body);
	http_reset(&c->in, 1);
}

static int
request_body(void *arg, const char *p, size_t len)
{
	struct conn *c = arg;

	if (c->body.len + len > MODEL_BODY_MAX)
		return -1;
	body_add(&c->body, p, len);
	return 0;
}

/* Gives bytes to the reader and keeps what lies behind the request. */
static int
request_feed(struct conn *c, const char *p, size_t len)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	ssize_t used = http_feed(&c->in, p, len, request_body, c);

	if (used < 0)
		return -1;
	if (c->in.expect && c->in.part != HTTP_DONE && c->body.len == 0) {
		c->in.expect = 0;
		if (net_send(c->fd, go_on, sizeof(go_on) - 1) < 0)
			return -1;
	}
	if ((size_t)used < len)
		buf_add(&c->pending, p + used, len - (size_t)used);
	return c->in.part == HTTP_DONE;
}

/* 1 a request is whole, 0 there is no more to read, -1 the peer is gone. */
static int
request_pull(struct conn *c)
{
	static char bytes[65536];
	struct buf old = c->pending;
	ssize_t n;
	int rc = 0;

	if (old.len > 0) {
		buf_init(&c->pending, NULL);
		rc = request_feed(c, old.data, old.len);
		buf_fini(&old);
	}
	while (rc == 0) {
		n = net_recv(c->fd, bytes, sizeof(bytes));
		if (n == -2)
			return 0;
		if (n <= 0)
			return -1;
		rc = request_feed(c, bytes, (size_t)n);
	}
	return rc;
}

/* Goes on with a connection as far as it can, and closes it at its end. */
static void
conn_run(struct conn *c)
{
	int rc = 1;

	while (rc > 0) {
		if (!c->busy) {
			rc = request_pull(c);
			if (rc > 0)
				response_start(c);
		} else {
			rc = response_push(c);
		}
	}
	if (rc < 0)
		conn_close(c);
}

/* Moves a slot's streams away, for some will come back into the slot. */
static void
wheel_detach(struct conn_list *from, struct conn_list *to)
{
	LIST_INIT(to);
	to->lh_first = LIST_FIRST(from);
	if (to->lh_first != NULL)
		to->lh_first->link.le_prev = &to->lh_first;
	LIST_INIT(from);
}

/* Runs all streams that are due. */
static void
wheel_turn(void)
{
	int64_t now_ms = clk_mono_ms();
	struct conn_list due;
	struct conn *c;

	if (wheel_count == 0)
		wheel_ms = now_ms;
	while (wheel_ms < now_ms) {
		wheel_ms++;
		wheel_detach(&wheel[wheel_ms % MODEL_WHEEL], &due);
		while ((c = LIST_FIRST(&due)) != NULL) {
			wheel_remove(c);
			if (c->due_ms > wheel_ms)
				wheel_add(c);
			else
				conn_run(c);
		}
	}
}

/* Milliseconds until the next slot that is not empty; -1: none. */
static int
wheel_wait_ms(void)
{
	int64_t now_ms = clk_mono_ms();
	int64_t i;

	if (wheel_count == 0)
		return -1;
	for (i = 1; i < MODEL_WHEEL; i++)
		if (!LIST_EMPTY(&wheel[(wheel_ms + i) % MODEL_WHEEL]))
			break;
	i += wheel_ms - now_ms;
	return i > 0 ? (int)i : 0;
}

static void
conn_accept(void)
{
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
	};
	struct conn *c;
	int fd;

	while ((fd = net_accept(listener)) >= 0) {
		c = calloc(1, sizeof(*c));
		if (c == NULL)
			abort();
		c->fd = fd;
		http_reset(&c->in, 1);
		ev.data.ptr = c;
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
			err(EX_OSERR, "epoll_ctl");
		count.accepted++;
		if (++count.open > count.open_max)
			count.open_max = count.open;
	}
}

static void
report(void)
{
	printf("{\"accepted\":%lu,\"requests\":%lu,\"completed\":%lu,"
	       "\"left\":%lu,\"tokens\":%lu,\"open_max\":%zu,"
	       "\"late_ms_p50\":%.3f,\"late_ms_p99\":%.3f,"
	       "\"late_ms_max\":%.3f,\"cpu_s\":%.3f}\n",
	    count.accepted, count.requests, count.completed, count.left,
	    count.tokens, count.open_max, net_hist_ms(&count.late, 0.5),
	    net_hist_ms(&count.late, 0.99), (double)count.late.max_us / 1000,
	    (double)net_cpu_us() / 1e6);
}

/* One thing that epoll reported; 1 if it was the signal to end. */
static int
dispatch(const struct epoll_event *ev)
{
	struct conn *c = ev->data.ptr;

	if (ev->data.ptr == &signal_fd)
		return 1;
	if (ev->data.ptr == &listener)
		conn_accept();
	else if (ev->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		conn_close(c);
	else
		conn_run(c);
	return 0;
}

static void
watch(int fd, void *mark)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = mark };

	if (fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		err(EX_OSERR, "epoll_ctl");
}

static void
setup(void)
{
	sigset_t set;
	int port;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	net_raise_nofile();
	head_make();
	buf_init(&events, NULL);
	buf_reserve(&events, 1);
	events_grow(opt.tokens);
	wheel_ms = clk_mono_ms();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	listener = net_listen(opt.port, &port);
	watch(signal_fd, &signal_fd);
	watch(listener, &listener);
	printf("%d\n", port);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct epoll_event ev[256];
	int i, n, end = 0;

	if (net_options(argc, argv, opt_table, synopsis) != argc)
		net_usage(opt_table, synopsis, "too many arguments");
	setup();
	while (!end) {
		n = epoll_wait(epoll_fd, ev, 256, wheel_wait_ms());
		if (n < 0 && errno != EINTR)
			err(EX_OSERR, "epoll_wait");
		for (i = 0; i < n; i++)
			end |= dispatch(&ev[i]);
		wheel_turn();
	}
	report();
	return 0;
}
