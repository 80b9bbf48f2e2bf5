/* SPDX-License-Identifier: MIT */
/*
 * The fetcher on a real loop, against a small HTTP server in threads of this
 * process. What the server does is said by the path of the request.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/loop.h"
#include "net/fetch.h"

#define BIG_BYTES (3 << 20)
#define SMALL_BYTES 20000
#define LIMIT_MS 10000
#define PAUSE_US 20000

/* ---- the server ---- */

static int listen_fd;
static int port;
static int accepted;            /* atomic: connections */
static int requests;            /* atomic */
static int connected;           /* atomic: those not closed yet */
static int64_t closed_ms;       /* atomic: when a peer left last */
static int expects;             /* atomic: requests with Expect */
static struct buf last_request; /* read after the loop ended */
static int last_reads;          /* that it took */
static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER;

#define GET(v) __atomic_load_n(&(v), __ATOMIC_SEQ_CST)
#define ADD(v, n) __atomic_add_fetch(&(v), n, __ATOMIC_SEQ_CST)

static void
say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return; /* the client left, as some tests want */
}

/* Blocks until the client closes. */
static void
wait_for_end(int fd)
{
	char c;

	while (read(fd, &c, 1) > 0)
		continue;
}

static void
serve_pieces(int fd, size_t body_len)
{
	(void)body_len;
	say(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		"Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 5; i++) {
		say(fd, "4\r\nabc\n\r\n");
		usleep(PAUSE_US);
	}
	say(fd, "0\r\n\r\n");
}

static void
serve_length(int fd, size_t body_len)
{
	char text[120];

	snprintf(text, sizeof(text),
	    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n%010zu", body_len);
	say(fd, text);
}

static void
serve_headers(int fd, size_t body_len)
{
	(void)body_len;
	say(fd, "HTTP/1.1 429 Too Many Requests\r\nRetry-After:  17 \r\n"
		"retry-after-MS: 1500\r\nX-Should-Retry: false\r\n"
		"Request-Id: req_abc\r\nContent-Type: application/json\r\n"
		"X-Other: nothing\r\nContent-Length: 2\r\n\r\n{}");
}

static void
serve_long_header(int fd, size_t body_len)
{
	char text[1400];
	int n = snprintf(text, sizeof(text), "HTTP/1.1 500 Oh\r\nRequest-Id: ");

	(void)body_len;
	memset(text + n, 'r', 1000);
	snprintf(text + n + 1000, sizeof(text) - (size_t)n - 1000,
	    "\r\nContent-Length: 0\r\n\r\n");
	say(fd, text);
}

static void
serve_nothing(int fd, size_t body_len)
{
	(void)body_len;
	wait_for_end(fd);
}

static void
serve_head_only(int fd, size_t body_len)
{
	(void)body_len;
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
	wait_for_end(fd);
}

static void
serve_stall(int fd, size_t body_len)
{
	(void)body_len;
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	wait_for_end(fd);
}

static void
serve_cut(int fd, size_t body_len)
{
	(void)body_len;
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
}

/* Never silent for long, and never done. */
static void
serve_drip(int fd, size_t body_len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	(void)body_len;
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
	while (poll(&p, 1, 20) == 0)
		say(fd, "x");
}

static void
serve_redirect(int fd, size_t body_len)
{
	(void)body_len;
	say(fd, "HTTP/1.1 302 Found\r\nLocation: /length\r\n"
		"Content-Length: 0\r\n\r\n");
}

static void
serve_vanish(int fd, size_t body_len)
{
	(void)fd;
	(void)body_len;
}

static void
serve_garbage(int fd, size_t body_len)
{
	(void)body_len;
	say(fd, "SSH-2.0-OpenSSH_9.2p1\r\n");
}

static const struct {
	const char *path;
	void (*serve)(int fd, size_t body_len);
	int keep; /* the connection can be used again */
} pages[] = {
	{ "/pieces", serve_pieces, 1 },
	{ "/length", serve_length, 1 },
	{ "/headers", serve_headers, 1 },
	{ "/long-header", serve_long_header, 1 },
	{ "/nothing", serve_nothing, 0 },
	{ "/head-only", serve_head_only, 0 },
	{ "/stall", serve_stall, 0 },
	{ "/cut", serve_cut, 0 },
	{ "/drip", serve_drip, 0 },
	{ "/redirect", serve_redirect, 1 },
	{ "/garbage", serve_garbage, 0 },
	{ "/vanish", serve_vanish, 0 },
};

/* Reads a request; the length of its body, or -1 if the client left. */
static ssize_t
read_request(int fd, struct buf *b)
{
	const char *end, *field;
	char chunk[65536];
	size_t length = 0;
	ssize_t n;
	int count = 0;

	buf_clear(b);
	for (;;) {
		end = strstr(buf_str(b), "\r\n\r\n");
		field = strcasestr(buf_str(b), "\r\nContent-Length: ");
		if (field != NULL)
			length = strtoul(field + 18, NULL, 10);
		if (end != NULL &&
		    b->len - (size_t)(end + 4 - b->data) >= length)
			break;
		n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			return -1;
		buf_add(b, chunk, (size_t)n);
		count++;
	}
	if (strcasestr(buf_str(b), "\r\nExpect:") != NULL)
		ADD(expects, 1);
	ADD(requests, 1);
	pthread_mutex_lock(&last_lock);
	buf_clear(&last_request);
	buf_add(&last_request, b->data, b->len);
	last_reads = count;
	pthread_mutex_unlock(&last_lock);
	return (ssize_t)length;
}

/* Serves one request. 1 if another may follow. */
static int
serve(int fd, const struct buf *b, size_t body_len)
{
	const char *path = strchr(buf_str(b), ' ');
	size_t n;

	if (path == NULL)
		return 0;
	n = strcspn(++path, " ");
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (strlen(pages[i].path) == n &&
		    strncmp(pages[i].path, path, n) == 0) {
			pages[i].serve(fd, body_len);
			return pages[i].keep;
		}
	return 0;
}

static void *
connection(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct buf b;
	ssize_t n;

	buf_init(&b, NULL);
	while ((n = read_request(fd, &b)) >= 0)
		if (!serve(fd, &b, (size_t)n))
			break;
	buf_fini(&b);
	close(fd);
	__atomic_store_n(&closed_ms, clk_mono_ms(), __ATOMIC_SEQ_CST);
	ADD(connected, -1);
	return NULL;
}

static void *
server(void *arg)
{
	pthread_t t;
	int fd;

	while ((fd = accept(listen_fd, NULL, NULL)) >= 0) {
		ADD(accepted, 1);
		ADD(connected, 1);
		if (pthread_create(
			&t, NULL, connection, (void *)(intptr_t)fd) != 0)
			abort();
		pthread_detach(t);
	}
	return arg;
}

/* ---- the client ---- */

static struct loop *l;
static struct fetcher *f;
static pthread_t server_thread;

/* One request, and what came of it. */
struct run {
	struct fetch_spec spec;
	char url[80];
	struct fetch *fetch;
	struct fetch_end end;
	struct buf body;
	int pieces, ends;
	int64_t started_ms, ended_ms;
	int give_up_at; /* the piece, 0: never */
	int cancel_at;  /* cancelled after this piece came */
	int status_seen;
	struct run *next;   /* started when this one ends */
	struct run *beside; /* started when the first piece comes */
	int *left;          /* of many */
};

static void run_start(struct run *r);

static void
cancel(void *arg)
{
	struct run *r = arg;

	r->started_ms = clk_mono_ms();
	fetch_cancel(r->fetch);
}

static int
on_body(void *ctx, const struct fetch_head *head, const char *data, size_t len,
    struct err *err)
{
	struct run *r = ctx;

	r->status_seen = head->status;
	buf_add(&r->body, data, len);
	if (++r->pieces == 1 && r->beside != NULL)
		run_start(r->beside);
	if (r->pieces == r->give_up_at)
		return err_set(err, ERR_TOO_LARGE, "that is enough");
	return 0;
}

static void
on_end(void *ctx, const struct fetch_end *end)
{
	struct run *r = ctx;

	r->end = *end;
	r->ends++;
	r->ended_ms = clk_mono_ms();
	r->fetch = NULL;
	if (r->next != NULL)
		run_start(r->next);
	else if (r->left == NULL || --*r->left == 0)
		loop_stop(l);
}

static void
run_init(struct run *r, const char *path)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->url, sizeof(r->url), "http://127.0.0.1:%d%s", port, path);
	buf_init(&r->body, NULL);
	r->spec = (struct fetch_spec){
		.url = r->url,
		.headers = { "content-type: application/json", "x-a: b" },
		.body = "{}",
		.body_len = 2,
		.connect_ms = 2000,
		.first_byte_ms = 5000,
		.idle_ms = 5000,
		.total_ms = 8000,
		.on_body = on_body,
		.on_end = on_end,
		.ctx = r,
	};
}

static void
run_start(struct run *r)
{
	r->started_ms = clk_mono_ms();
	r->fetch = fetch_start(f, &r->spec);
}

static void
start(void *arg)
{
	run_start(arg);
}

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(l);
}

static void
loop_go(void)
{
	struct loop_timer *limit = loop_timer_new(l, "limit", stop, NULL);

	loop_timer_start(limit, LIMIT_MS, 0);
	loop_run(l);
	loop_timer_free(&limit);
}

/* Starts it and waits for its end, and for that of what comes after it. */
static void
run_all(struct run *r)
{
	int in_time;

	loop_post(l, "start", start, r);
	loop_go();
	in_time = r->fetch == NULL;
	if (!in_time)
		fetch_cancel(r->fetch);
	assert_true(in_time);
	assert_int_equal(r->ends, 1);
}

static void
expect_took(const struct run *r, int64_t least, int64_t most)
{
	assert_in_range(r->ended_ms - r->started_ms, least, most);
}

static void
fetch_path(struct run *r, const char *path)
{
	run_init(r, path);
	run_all(r);
}

static int
setup(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	(void)state;
	listen_fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listen_fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 ||
	    listen(listen_fd, 256) < 0 ||
	    getsockname(listen_fd, (struct sockaddr *)&sin, &len) < 0)
		return -1;
	port = ntohs(sin.sin_port);
	accepted = requests = expects = 0;
	closed_ms = 0;
	buf_init(&last_request, NULL);
	l = loop_new();
	f = fetcher_new(l);
	return pthread_create(&server_thread, NULL, server, NULL);
}

/* Every connection of the fetcher's is closed when it is freed. */
static int
teardown(void **state)
{
	(void)state;
	fetcher_free(&f);
	fetcher_free(&f);
	loop_free(&l);
	shutdown(listen_fd, SHUT_RDWR);
	pthread_join(server_thread, NULL);
	close(listen_fd);
	for (int i = 0; i < LIMIT_MS && GET(connected) > 0; i++)
		usleep(1000);
	buf_fini(&last_request);
	return GET(connected) == 0 ? 0 : -1;
}

/* A loop runs once. */
static void
loop_renew(void)
{
	fetcher_free(&f);
	loop_free(&l);
	l = loop_new();
	f = fetcher_new(l);
}

/* ---- answers ---- */

static void
test_pieces(void **state)
{
	struct run r;

	(void)state;
	fetch_path(&r, "/pieces");
	assert_int_equal(r.end.code, ERR_NONE);
	assert_int_equal(r.end.head.status, 200);
	assert_int_equal(r.status_seen, 200);
	assert_string_equal(buf_str(&r.body), "abc\nabc\nabc\nabc\nabc\n");
	assert_in_range(r.pieces, 2, 5); /* as they arrive, not at the end */
	assert_string_equal(r.end.head.content_type, "text/event-stream");
	assert_string_equal(r.end.text, "");
	buf_fini(&r.body);
}

static void
test_request(void **state)
{
	struct run r;

	(void)state;
	fetch_path(&r, "/length");
	assert_int_equal(
	    strncmp(buf_str(&last_request), "POST /length HTTP/1.1\r\n", 23),
	    0);
	assert_non_null(strstr(buf_str(&last_request),
	    "\r\ncontent-type: application/json\r\nx-a: b\r\n"));
	assert_non_null(strstr(buf_str(&last_request), "\r\n\r\n{}"));
	assert_null(strcasestr(buf_str(&last_request), "urlencoded"));
	buf_fini(&r.body);
}

static void
test_headers_kept(void **state)
{
	struct run r, again;

	(void)state;
	run_init(&r, "/headers");
	run_init(&again, "/long-header");
	r.next = &again;
	run_all(&r);
	assert_int_equal(r.end.code, ERR_NONE);
	assert_int_equal(r.end.head.status, 429);
	assert_int_equal(atoi(r.end.head.retry_after), 17);
	assert_string_equal(r.end.head.retry_after_ms, "1500");
	assert_string_equal(r.end.head.should_retry, "false");
	assert_string_equal(r.end.head.request_id, "req_abc");
	assert_string_equal(r.end.head.content_type, "application/json");
	assert_string_equal(buf_str(&r.body), "{}");
	buf_fini(&r.body);
	assert_int_equal(again.end.head.status, 500);
	assert_int_equal(strlen(again.end.head.request_id),
	    sizeof(again.end.head.request_id) - 1);
	assert_string_equal(again.end.head.retry_after, "");
	buf_fini(&again.body);
}

static void
test_redirect_is_an_answer(void **state)
{
	struct run r;

	(void)state;
	fetch_path(&r, "/redirect");
	assert_int_equal(r.end.code, ERR_NONE);
	assert_int_equal(r.end.head.status, 302);
	assert_int_equal(r.body.len, 0);
	buf_fini(&r.body);
}

/* One connection for one after another, the second begun in on_end. */
static void
test_connection_is_reused(void **state)
{
	struct run a, b;

	(void)state;
	run_init(&a, "/length");
	run_init(&b, "/pieces");
	a.next = &b;
	run_all(&a);
	assert_int_equal(a.end.code, ERR_NONE);
	assert_int_equal(b.end.code, ERR_NONE);
	assert_int_equal(b.ends, 1);
	assert_int_equal(GET(accepted), 1);
	buf_fini(&a.body);
	buf_fini(&b.body);
}

/* A kept connection that dies under a request: curl sends it again on a new
 * one, but not what has effects. */
static void
test_sent_once(void **state)
{
	struct run a, b;

	(void)state;
	for (int once = 0; once < 2; once++) {
		int before = GET(requests);

		run_init(&a, "/length");
		run_init(&b, "/vanish");
		b.spec.once = once;
		a.next = &b;
		run_all(&a);
		assert_int_equal(a.end.code, ERR_NONE);
		assert_int_equal(b.end.code, ERR_MODEL);
		assert_int_equal(b.end.sent, 1);
		assert_int_equal(GET(requests) - before, once ? 2 : 3);
		buf_fini(&a.body);
		buf_fini(&b.body);
		if (!once)
			loop_renew();
	}
}

/* What an earlier request had is not left in the handle of a later one. */
static void
test_handle_is_clean(void **state)
{
	struct run a, b;

	(void)state;
	run_init(&a, "/headers");
	run_init(&b, "/length");
	b.spec.headers[0] = NULL;
	a.next = &b;
	run_all(&a);
	assert_int_equal(b.end.code, ERR_NONE);
	assert_null(strstr(buf_str(&last_request), "x-a:"));
	assert_string_equal(b.end.head.retry_after, "");
	assert_string_equal(b.end.head.request_id, "");
	buf_fini(&a.body);
	buf_fini(&b.body);
}

/* A large body goes out at once: curl would ask first, for up to 1 s. */
static void
test_large_body(void **state)
{
	char *body = malloc(BIG_BYTES), wanted[16];
	struct run r;

	(void)state;
	assert_non_null(body);
	memset(body, 'x', BIG_BYTES);
	run_init(&r, "/length");
	r.spec.body = body;
	r.spec.body_len = BIG_BYTES;
	run_all(&r);
	snprintf(wanted, sizeof(wanted), "%010d", BIG_BYTES);
	assert_int_equal(r.end.code, ERR_NONE);
	assert_string_equal(buf_str(&r.body), wanted);
	assert_int_equal(GET(expects), 0);
	expect_took(&r, 0, 900);
	buf_fini(&r.body);
	free(body);
}

static void
expect_body(const char *head, const char *rest, size_t rest_len)
{
	size_t len = strlen(head);
	const char *p;

	pthread_mutex_lock(&last_lock);
	p = strstr(buf_str(&last_request), "\r\n\r\n");
	assert_non_null(p);
	p += 4;
	assert_int_equal(
	    buf_str(&last_request) + last_request.len - p, len + rest_len);
	assert_memory_equal(p, head, len);
	assert_memory_equal(p + len, rest, rest_len);
	pthread_mutex_unlock(&last_lock);
}

static char *
letters(size_t n)
{
	char *body = malloc(n);

	assert_non_null(body);
	for (size_t i = 0; i < n; i++)
		body[i] = (char)('a' + i % 23);
	return body;
}

/* Sends a body in two pieces over a connection that has to be opened again
 * for it: it is whole then, too. */
static void
send_pieces_again(char *rest, size_t rest_len)
{
	int before = GET(requests);
	struct run a, b;

	loop_renew();
	run_init(&a, "/length");
	run_init(&b, "/vanish");
	b.spec.head = "ab";
	b.spec.head_len = 2;
	b.spec.body = rest;
	b.spec.body_len = rest_len;
	a.next = &b;
	run_all(&a);
	assert_int_equal(GET(requests) - before, 3);
	expect_body("ab", rest, rest_len);
	buf_fini(&a.body);
	buf_fini(&b.body);
}

static void
send_pieces(const char *head, char *rest, size_t rest_len)
{
	struct run a;

	run_init(&a, "/length");
	a.spec.head = head;
	a.spec.head_len = strlen(head);
	a.spec.body = rest;
	a.spec.body_len = rest_len;
	run_all(&a);
	assert_int_equal(a.end.code, ERR_NONE);
	assert_int_equal(GET(expects), 0);
	expect_took(&a, 0, 900);
	expect_body(head, rest, rest_len);
	assert_null(strcasestr(buf_str(&last_request), "urlencoded"));
	buf_fini(&a.body);
}

/* A body of two pieces arrives as one, at once, and whole when it is sent
 * again. */
static void
test_two_pieces(void **state)
{
	char *body = letters(BIG_BYTES);

	(void)state;
	send_pieces("what is before", body, BIG_BYTES);
	send_pieces_again(body, BIG_BYTES);
	free(body);
}

/* Small ones leave in one write with the headers. */
static void
test_two_small_pieces(void **state)
{
	char *body = letters(SMALL_BYTES);

	(void)state;
	send_pieces("what is before", body, SMALL_BYTES);
	assert_int_equal(last_reads, 1);
	send_pieces_again(body, SMALL_BYTES);
	loop_renew();
	send_pieces("the head alone", NULL, 0);
	free(body);
}

/* curl takes nothing while it calls back: such a request waits for it. */
static void
test_start_within_body(void **state)
{
	struct run a, b;
	int left = 2;

	(void)state;
	run_init(&a, "/pieces");
	run_init(&b, "/length");
	a.left = b.left = &left;
	a.beside = &b;
	run_all(&a);
	assert_int_equal(a.end.code, ERR_NONE);
	assert_int_equal(b.ends, 1);
	assert_int_equal(b.end.code, ERR_NONE);
	assert_int_equal(b.body.len, 10);
	assert_in_range(b.ended_ms, a.started_ms, a.ended_ms);
	buf_fini(&a.body);
	buf_fini(&b.body);
}

/* It gives up within on_body, and so does what it has started there. */
static void
test_start_within_body_and_end(void **state)
{
	struct run a, b;

	(void)state;
	run_init(&a, "/pieces");
	run_init(&b, "/nothing");
	a.beside = &b;
	a.give_up_at = 1;
	run_all(&a);
	assert_int_equal(a.end.code, ERR_TOO_LARGE);
	assert_int_equal(b.ends, 0);
	fetcher_free(&f);
	assert_int_equal(b.ends, 1);
	assert_int_equal(b.end.code, ERR_CANCELLED);
	buf_fini(&a.body);
	buf_fini(&b.body);
}

static void
test_many_at_once(void **state)
{
	enum { N = 100 };
	static struct run runs[N];
	int left = N;

	(void)state;
	for (int i = 0; i < N; i++) {
		run_init(&runs[i], i % 3 ? "/pieces" : "/length");
		runs[i].left = &left;
		loop_post(l, "start", start, &runs[i]);
	}
	loop_go();
	assert_int_equal(left, 0);
	for (int i = 0; i < N; i++) {
		assert_int_equal(runs[i].ends, 1);
		assert_int_equal(runs[i].end.code, ERR_NONE);
		assert_int_equal(runs[i].body.len, i % 3 ? 20 : 10);
		buf_fini(&runs[i].body);
	}
	assert_in_range(GET(accepted), 2, N);
}

/* ---- failures ---- */

static void
test_first_byte_timeout(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, "/nothing");
	r.spec.first_byte_ms = 250;
	run_all(&r);
	assert_int_equal(r.end.code, ERR_TIMEOUT);
	assert_int_equal(r.end.head.status, 0);
	assert_non_null(strstr(r.end.text, "no answer began within 250 ms"));
	expect_took(&r, 240, 2000);
	assert_int_equal(r.pieces, 0);
}

/* A head without a body is no answer yet. */
static void
test_first_byte_after_head(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, "/head-only");
	r.spec.first_byte_ms = 250;
	run_all(&r);
	assert_int_equal(r.end.code, ERR_TIMEOUT);
	expect_took(&r, 240, 2000);
}

static void
test_idle_timeout(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, "/stall");
	r.spec.idle_ms = 250;
	run_all(&r);
	assert_int_equal(r.end.code, ERR_TIMEOUT);
	assert_int_equal(r.end.head.status, 200);
	assert_non_null(strstr(r.end.text, "silent for 250 ms"));
	assert_string_equal(buf_str(&r.body), "abc");
	expect_took(&r, 240, 2000);
	buf_fini(&r.body);
}

/* Bytes that keep coming keep it alive, up to the total. */
static void
test_total_timeout(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, "/drip");
	r.spec.idle_ms = r.spec.first_byte_ms = 150;
	r.spec.total_ms = 500;
	run_all(&r);
	assert_int_equal(r.end.code, ERR_TIMEOUT);
	assert_true(r.pieces > 5);
	expect_took(&r, 490, 2500);
	buf_fini(&r.body);
}

/* The server sees the connection close soon after. */
static void
expect_closed_within(int64_t ms, int64_t since)
{
	for (int i = 0; i < LIMIT_MS && GET(connected) > 0; i++)
		usleep(1000);
	assert_int_equal(GET(connected), 0);
	assert_true(GET(closed_ms) - since <= ms); /* perhaps before it */
}

static void
test_cancel(void **state)
{
	static const char *const paths[] = { "/nothing", "/stall", "/drip" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct run r;
		struct loop_timer *t = loop_timer_new(l, "cancel", cancel, &r);

		run_init(&r, paths[i]);
		loop_timer_start(t, 100, 0);
		run_all(&r);
		assert_int_equal(r.end.code, ERR_CANCELLED);
		expect_took(&r, 0, 50);
		expect_closed_within(200, r.started_ms);
		loop_timer_free(&t);
		buf_fini(&r.body);
		loop_renew();
	}
}

/* Before anything of it was sent, in the very tick it was started. */
static void
start_and_cancel(void *arg)
{
	run_start(arg);
	cancel(arg);
}

static void
test_cancel_at_once(void **state)
{
	struct run r, next;

	(void)state;
	run_init(&r, "/pieces");
	run_init(&next, "/length");
	r.next = &next;
	loop_post(l, "both", start_and_cancel, &r);
	loop_go();
	assert_int_equal(r.ends, 1);
	assert_int_equal(r.end.code, ERR_CANCELLED);
	assert_int_equal(next.ends, 1);
	assert_int_equal(next.end.code, ERR_NONE);
	buf_fini(&r.body);
	buf_fini(&next.body);
}

/* ---- given up while it connects ---- */

static struct {
	struct run run;
	int after_ms;
	int can_watch; /* somebody else the descriptor that it had */
	struct loop_timer *leave, *stop;
} quitter;

static void
on_quit(void *ctx, const struct fetch_end *end)
{
	(void)ctx;
	quitter.run.end = *end;
	quitter.run.ends++;
	quitter.run.fetch = NULL;
}

static void
ignore_event(void *arg, int events)
{
	(void)arg;
	(void)events;
}

static void
leave(void *arg)
{
	int fd;
	struct loop_io *io;

	(void)arg;
	if (quitter.run.fetch != NULL)
		fetch_cancel(quitter.run.fetch);
	fd = eventfd(0, EFD_NONBLOCK);
	io = loop_io_new(l, "other", fd, ignore_event, NULL);
	quitter.can_watch = io != NULL;
	loop_io_free(&io);
	close(fd);
	loop_timer_start(quitter.stop, 20, 0); /* the loop goes round */
}

static void
start_and_leave(void *arg)
{
	(void)arg;
	run_start(&quitter.run);
	loop_timer_start(quitter.leave, quitter.after_ms, 0);
}

static void
give_up(int to_port, int after_ms)
{
	run_init(&quitter.run, "/length");
	snprintf(quitter.run.url, sizeof(quitter.run.url),
	    "http://127.0.0.1:%d/", to_port);
	quitter.run.spec.on_end = on_quit;
	quitter.after_ms = after_ms;
	quitter.leave = loop_timer_new(l, "leave", leave, NULL);
	quitter.stop = loop_timer_new(l, "stop", stop, NULL);
	loop_post(l, "start", start_and_leave, NULL);
	loop_go();
	loop_timer_free(&quitter.leave);
	loop_timer_free(&quitter.stop);
	assert_int_equal(quitter.run.ends, 1);
	assert_int_equal(quitter.run.end.code, ERR_CANCELLED);
	assert_true(quitter.can_watch);
	buf_fini(&quitter.run.body);
}

/* In the tick in which curl begins to connect. */
static void
test_cancel_as_it_connects(void **state)
{
	(void)state;
	give_up(port, 0);
}

/* While nobody answers: the queue of who listens is full. */
static void
test_cancel_while_it_connects(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int deaf = socket(AF_INET, SOCK_STREAM, 0), fds[4];
	socklen_t len = sizeof(sin);

	(void)state;
	assert_int_equal(bind(deaf, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(deaf, 0), 0);
	assert_int_equal(getsockname(deaf, (struct sockaddr *)&sin, &len), 0);
	for (int i = 0; i < 4; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fds[i], (struct sockaddr *)&sin, len);
	}
	give_up(ntohs(sin.sin_port), 100);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	close(deaf);
}

/* on_end of one cancels another; no one is ended twice. */
static struct run twins[2];

static void
on_end_cancels_twin(void *ctx, const struct fetch_end *end)
{
	struct run *r = ctx, *twin = &twins[r == twins];

	r->end = *end;
	r->ends++;
	r->fetch = NULL;
	if (twin->fetch != NULL)
		fetch_cancel(twin->fetch);
	else
		loop_stop(l);
}

static void
test_cancel_of_another_in_on_end(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		run_init(&twins[i], "/nothing");
		twins[i].spec.on_end = on_end_cancels_twin;
		twins[i].spec.first_byte_ms = 200;
		loop_post(l, "start", start, &twins[i]);
	}
	loop_go();
	assert_int_equal(twins[0].ends, 1);
	assert_int_equal(twins[1].ends, 1);
	assert_int_equal(
	    twins[0].end.code + twins[1].end.code, ERR_TIMEOUT + ERR_CANCELLED);
}

static void
test_receiver_gives_up(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, "/drip");
	r.give_up_at = 2;
	run_all(&r);
	assert_int_equal(r.end.code, ERR_TOO_LARGE);
	assert_string_equal(r.end.text, "that is enough");
	assert_int_equal(r.pieces, 2);
	assert_int_equal(r.end.head.status, 200);
	expect_closed_within(1000, r.ended_ms);
	buf_fini(&r.body);
}

static void
test_refused(void **state)
{
	struct run r;
	int old = port;

	(void)state;
	port = 1; /* nobody listens there */
	run_init(&r, "/length");
	port = old;
	run_all(&r);
	assert_int_equal(r.end.code, ERR_MODEL);
	assert_int_equal(r.end.head.status, 0);
	assert_int_equal(r.end.sent, 0);
	assert_true(strlen(r.end.text) > 0);
	expect_took(&r, 0, 1000);
}

static void
test_not_an_answer(void **state)
{
	static const char *const paths[] = { "/cut", "/garbage", "/unknown" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct run r;

		fetch_path(&r, paths[i]);
		assert_int_equal(r.end.code, ERR_MODEL);
		assert_true(strlen(r.end.text) > 0);
		buf_fini(&r.body);
		loop_renew();
	}
}

static void
test_bad_urls(void **state)
{
	static const char *const urls[] = { "file:///etc/passwd",
		"gopher://127.0.0.1/", "http://", "", "nonsense://x" };

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct run r;

		run_init(&r, "/");
		snprintf(r.url, sizeof(r.url), "%s", urls[i]);
		run_all(&r);
		assert_int_equal(r.end.code, ERR_MODEL);
		assert_int_equal(r.body.len, 0);
		loop_renew();
	}
}

/* Freed with requests under way: each is ended as cancelled. */
static void
test_free_cancels(void **state)
{
	struct run r[2];
	int left = 2;
	struct loop_timer *t = loop_timer_new(l, "stop", stop, NULL);

	(void)state;
	for (int i = 0; i < 2; i++) {
		run_init(&r[i], i ? "/stall" : "/nothing");
		r[i].left = &left;
		loop_post(l, "start", start, &r[i]);
	}
	loop_timer_start(t, 100, 0);
	loop_run(l);
	fetcher_free(&f);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(r[i].ends, 1);
		assert_int_equal(r[i].end.code, ERR_CANCELLED);
		buf_fini(&r[i].body);
	}
	loop_timer_free(&t);
}

/* ---- names that are not resolved ---- */

static pthread_mutex_t look_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t look_cond = PTHREAD_COND_INITIALIZER;
static int looking, may_end;

/* curl's threads come here: the C library's, but for a name that hangs until
 * the test is over, or for LIMIT_MS. */
int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
    struct addrinfo **list)
{
	int (*real)(const char *, const char *, const struct addrinfo *,
	    struct addrinfo **) = NULL;
	struct timespec until;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (name != NULL && strcmp(name, "fails.test") == 0)
		return EAI_NONAME;
	if (name == NULL || strcmp(name, "hangs.test") != 0)
		return real(name, service, hints, list);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LIMIT_MS / 1000;
	pthread_mutex_lock(&look_lock);
	looking++;
	while (!may_end &&
	       pthread_cond_timedwait(&look_cond, &look_lock, &until) == 0)
		continue;
	looking--;
	pthread_cond_broadcast(&look_cond);
	pthread_mutex_unlock(&look_lock);
	return EAI_AGAIN;
}

static void
end_looks(void)
{
	pthread_mutex_lock(&look_lock);
	may_end = 1;
	pthread_cond_broadcast(&look_cond);
	while (looking > 0)
		pthread_cond_wait(&look_cond, &look_lock);
	may_end = 0;
	pthread_mutex_unlock(&look_lock);
}

static void
run_init_name(struct run *r, const char *name)
{
	run_init(r, "/");
	snprintf(r->url, sizeof(r->url), "http://%s:%d/", name, port);
}

/* Nothing of it is left, or the loop would never end. */
static void
test_name_that_is_none(void **state)
{
	struct run r;

	(void)state;
	run_init_name(&r, "fails.test");
	run_all(&r);
	assert_int_equal(r.end.code, ERR_MODEL);
	assert_non_null(strstr(r.end.text, "resolve"));
	loop_renew();
	fetch_path(&r, "/length");
	assert_int_equal(r.end.code, ERR_NONE);
	buf_fini(&r.body);
}

/* A resolver that does not answer holds neither the loop nor its end. */
static void
test_name_that_hangs(void **state)
{
	struct loop_timer *t;
	struct run r;
	int64_t began;

	(void)state;
	run_init_name(&r, "hangs.test");
	r.spec.total_ms = 200;
	run_all(&r);
	assert_int_equal(r.end.code, ERR_TIMEOUT);
	expect_took(&r, 190, 2000);

	loop_renew();
	run_init_name(&r, "hangs.test");
	t = loop_timer_new(l, "cancel", cancel, &r);
	loop_timer_start(t, 100, 0);
	run_all(&r);
	assert_int_equal(r.end.code, ERR_CANCELLED);
	loop_timer_free(&t);

	loop_renew();
	run_init_name(&r, "hangs.test");
	t = loop_timer_new(l, "stop", stop, NULL);
	loop_post(l, "start", start, &r);
	loop_timer_start(t, 100, 0);
	loop_run(l);
	began = clk_mono_ms();
	fetcher_free(&f);
	assert_in_range(clk_mono_ms() - began, 0, 2000);
	assert_int_equal(r.end.code, ERR_CANCELLED);
	loop_timer_free(&t);
	end_looks();
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pieces),
		TEST(test_request),
		TEST(test_headers_kept),
		TEST(test_redirect_is_an_answer),
		TEST(test_connection_is_reused),
		TEST(test_sent_once),
		TEST(test_handle_is_clean),
		TEST(test_large_body),
		TEST(test_two_pieces),
		TEST(test_two_small_pieces),
		TEST(test_start_within_body),
		TEST(test_start_within_body_and_end),
		TEST(test_many_at_once),
		TEST(test_first_byte_timeout),
		TEST(test_first_byte_after_head),
		TEST(test_idle_timeout),
		TEST(test_total_timeout),
		TEST(test_cancel),
		TEST(test_cancel_at_once),
		TEST(test_cancel_as_it_connects),
		TEST(test_cancel_while_it_connects),
		TEST(test_cancel_of_another_in_on_end),
		TEST(test_receiver_gives_up),
		TEST(test_refused),
		TEST(test_not_an_answer),
		TEST(test_bad_urls),
		TEST(test_free_cancels),
		TEST(test_name_that_is_none),
		TEST(test_name_that_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
