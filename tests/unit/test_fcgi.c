/* SPDX-License-Identifier: MIT */
/*
 * What the pool relies on in libfcgi, proved through real unix sockets: it
 * accepts in many threads without a mutex, an error of accept ends nothing,
 * and a request can be taken away from it and answered by somebody else.
 *
 * The peer is this file, which speaks FastCGI by hand as nginx does. The
 * server is src/http/accept.c with a function of our own, or a single
 * FCGX_Request where the moment matters. What a client sends here fits the
 * socket's buffer, so one thread can be both ends.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fastcgi.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/log.h"
#include "http/accept.h"
#include "http/fcgi.h"
#include "http/request.h"

#define THREADS 8
#define BODY_BYTES 60000 /* more than libfcgi reads ahead */
#define WAIT_MS 10000

static char dir[] = "/tmp/test_fcgi.XXXXXX";
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int listen_fd = -1;
static FCGX_Request rq;

/* ---- the peer ---- */

static void
put_record(struct buf *b, int type, int id, const void *data, size_t len)
{
	const FCGI_Header h = {
		.version = FCGI_VERSION_1,
		.type = (unsigned char)type,
		.requestIdB1 = (unsigned char)(id >> 8),
		.requestIdB0 = (unsigned char)id,
		.contentLengthB1 = (unsigned char)(len >> 8),
		.contentLengthB0 = (unsigned char)len,
		.paddingLength = (unsigned char)(-len % 8),
	};

	buf_add(b, &h, sizeof(h));
	buf_add(b, data, len);
	buf_add(b, "\0\0\0\0\0\0\0", h.paddingLength);
}

static void
put_param(struct buf *b, const char *name, const char *value)
{
	buf_putc(b, (char)strlen(name));
	buf_putc(b, (char)strlen(value));
	buf_puts(b, name);
	buf_puts(b, value);
}

/* A request for path with a body of body_len x's. flags: FCGI_KEEP_CONN. */
static void
put_request(struct buf *b, int id, const char *path, size_t body_len, int flags)
{
	FCGI_BeginRequestBody begin = { .roleB0 = FCGI_RESPONDER,
		.flags = (unsigned char)flags };
	char length[24], *body = malloc(body_len + 1);
	struct buf params;

	assert_non_null(body);
	memset(body, 'x', body_len);
	snprintf(length, sizeof(length), "%zu", body_len);
	buf_init(&params, NULL);
	put_param(&params, "REQUEST_METHOD", "POST");
	put_param(&params, "QUERY_STRING", "a=b");
	put_param(&params, "REQUEST_ID", "nginx-1");
	put_param(&params, "REQUEST_URI", path);
	put_param(&params, "CONTENT_LENGTH", length);
	put_record(b, FCGI_BEGIN_REQUEST, id, &begin, sizeof(begin));
	put_record(b, FCGI_PARAMS, id, params.data, params.len);
	put_record(b, FCGI_PARAMS, id, NULL, 0);
	if (body_len > 0)
		put_record(b, FCGI_STDIN, id, body, body_len);
	put_record(b, FCGI_STDIN, id, NULL, 0);
	buf_fini(&params);
	free(body);
}

static int
client_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

static void
client_connect(int fd)
{
	assert_int_equal(
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
}

static void
client_send(int fd, const char *path, size_t body_len, int flags)
{
	struct buf b;

	buf_init(&b, NULL);
	put_request(&b, 1, path, body_len, flags);
	assert_int_equal(send(fd, b.data, b.len, MSG_NOSIGNAL), b.len);
	buf_fini(&b);
}

static int
client_new(const char *path, size_t body_len, int flags)
{
	int fd = client_socket();

	client_connect(fd);
	client_send(fd, path, body_len, flags);
	return fd;
}

/* What came for a client, up to the end: errno of that, 0 if it was clean. */
struct reply {
	struct buf out; /* content of STDOUT */
	int ended;      /* END_REQUEST was there */
	int end_errno;
};

static void
reply_parse(struct reply *r, const struct buf *raw)
{
	size_t at = 0, len;

	while (raw->len - at >= sizeof(FCGI_Header)) {
		const FCGI_Header *h = (const void *)(raw->data + at);

		len = (size_t)(h->contentLengthB1 << 8 | h->contentLengthB0);
		at += sizeof(*h);
		assert_true(raw->len - at >= len + h->paddingLength);
		if (h->type == FCGI_STDOUT)
			buf_add(&r->out, raw->data + at, len);
		r->ended |= h->type == FCGI_END_REQUEST;
		at += len + h->paddingLength;
	}
	assert_int_equal(at, raw->len);
}

/* Reads to the end, closes, and takes the records apart. */
static void
reply_read(struct reply *r, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char chunk[4096];
	struct buf raw;
	ssize_t n;

	memset(r, 0, sizeof(*r));
	buf_init(&r->out, NULL);
	buf_init(&raw, NULL);
	do {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		n = read(fd, chunk, sizeof(chunk));
		if (n > 0)
			buf_add(&raw, chunk, (size_t)n);
	} while (n > 0);
	r->end_errno = n < 0 ? errno : 0;
	close(fd);
	reply_parse(r, &raw);
	buf_fini(&raw);
}

/* It was answered, by whoever had read this path, to a clean end. */
static void
expect_answer(int fd, const char *path)
{
	struct reply r;
	char wanted[64];

	reply_read(&r, fd);
	snprintf(wanted, sizeof(wanted), "Status: 200\r\n\r\n%s", path);
	assert_string_equal(buf_str(&r.out), wanted);
	assert_int_equal(r.ended, 1);
	assert_int_equal(r.end_errno, 0);
	buf_fini(&r.out);
}

/* ---- the server ---- */

static int served;      /* atomic */
static int highest_fd;  /* atomic; a connection's number */
static int bodies_left; /* atomic; requests whose body was not whole */

static void
answer(FCGX_Request *fcgi)
{
	FCGX_FPrintF(fcgi->out, "Status: 200\r\n\r\n%s",
	    FCGX_GetParam("REQUEST_URI", fcgi->envp));
}

/* Takes the place of api_serve. */
static void
serve(void *ctx, struct FCGX_Request *fcgi)
{
	struct arena *a = arena_open(1024);
	struct http_request req;

	(void)ctx;
	http_request_init(&req, a, fcgi);
	if (http_read_body(&req, BODY_BYTES, NULL) < 0)
		__atomic_add_fetch(&bodies_left, 1, __ATOMIC_SEQ_CST);
	answer(fcgi);
	__atomic_add_fetch(&served, 1, __ATOMIC_SEQ_CST);
	if (fcgi->ipcFd > __atomic_load_n(&highest_fd, __ATOMIC_SEQ_CST))
		__atomic_store_n(&highest_fd, fcgi->ipcFd, __ATOMIC_SEQ_CST);
	arena_close(&a);
}

static int
setup(void **state)
{
	(void)state;
	listen_fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(address.sun_path);
	if (bind(listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listen_fd, 1024) < 0)
		return -1;
	served = highest_fd = bodies_left = 0;
	return FCGX_InitRequest(&rq, listen_fd, FCGI_FAIL_ACCEPT_ON_INTR);
}

static int
teardown(void **state)
{
	(void)state;
	FCGX_Free(&rq, 1);
	close(listen_fd);
	return unlink(address.sun_path);
}

static int
open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* Request threads that all wait already: nothing is opened later. */
static struct acceptor *
threads_start(int count)
{
	int before = open_fds();
	struct acceptor *ac = acceptor_start(listen_fd, count, serve, NULL);

	for (int i = 0; i < WAIT_MS && open_fds() < before + 1 + count; i++)
		usleep(1000);
	assert_int_equal(open_fds(), before + 1 + count);
	return ac;
}

/* Accepts a request and reads its body to the end. */
static void
accept_whole(const char *path)
{
	char chunk[8192];

	assert_int_equal(FCGX_Accept_r(&rq), 0);
	assert_string_equal(FCGX_GetParam("REQUEST_URI", rq.envp), path);
	while (FCGX_GetStr(chunk, sizeof(chunk), rq.in) > 0)
		continue;
	assert_int_equal(FCGX_GetError(rq.in), 0);
}

static void
expect_peer_is_silent(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDHUP };

	assert_int_equal(poll(&p, 1, 0), 0);
}

/* ---- accepting ---- */

static void
test_threads_without_mutex(void **state)
{
	enum { N = 200 };
	struct acceptor *ac = threads_start(THREADS);
	int fds[N];
	char path[16];

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		fds[i] = client_new(
		    path, (size_t)i * 200, i % 2 ? FCGI_KEEP_CONN : 0);
	}
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		expect_answer(fds[i], path);
	}
	acceptor_stop(&ac);
	assert_null(ac);
	assert_int_equal(served, N);
	assert_int_equal(bodies_left, 0);
}

/* Peers that say nothing hold up their own thread and nobody else. */
static void
test_slow_peers(void **state)
{
	struct acceptor *ac = threads_start(THREADS);
	int slow[THREADS - 1];
	int64_t start;
	struct buf b;

	(void)state;
	buf_init(&b, NULL);
	put_request(&b, 1, "/slow", 0, 0);
	for (int i = 0; i < THREADS - 1; i++) {
		slow[i] = client_socket();
		client_connect(slow[i]);
		assert_int_equal(send(slow[i], b.data, 20, 0), 20);
	}
	start = clk_mono_ms();
	for (int i = 0; i < 50; i++)
		expect_answer(client_new("/quick", 10, 0), "/quick");
	assert_true(clk_mono_ms() - start < 5000);
	for (int i = 0; i < THREADS - 1; i++) {
		assert_int_equal(
		    send(slow[i], b.data + 20, b.len - 20, 0), b.len - 20);
		expect_answer(slow[i], "/slow");
	}
	acceptor_stop(&ac);
	buf_fini(&b);
}

/* Woken, and another thread was quicker: an errno and not a wait. */
static void
test_nobody_there(void **state)
{
	int64_t start = clk_mono_ms();
	int fd;

	(void)state;
	assert_int_equal(FCGX_Accept_r(&rq), -EAGAIN);
	fd = client_socket();
	client_connect(fd);
	close(fd); /* it came and went, and said nothing */
	assert_int_equal(FCGX_Accept_r(&rq), -EAGAIN);
	fd = client_new("/a", 0, 0);
	accept_whole("/a");
	answer(&rq);
	FCGX_Finish_r(&rq);
	expect_answer(fd, "/a");
	assert_int_equal(FCGX_Accept_r(&rq), -EAGAIN);
	assert_true(clk_mono_ms() - start < 1000);
}

/*
 * The listening socket does not block; what it accepts does, and stays open
 * over an exec: why children are started with all descriptors closed.
 */
static void
test_flags_of_a_connection(void **state)
{
	int fd = client_new("/", 0, 0);

	(void)state;
	accept_whole("/");
	assert_int_equal(fcntl(rq.ipcFd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(rq.ipcFd, F_GETFD) & FD_CLOEXEC, 0);
	answer(&rq);
	FCGX_Finish_r(&rq);
	expect_answer(fd, "/");
}

static void
test_more_than_1024_descriptors(void **state)
{
	enum { FILL = 1100 };
	struct rlimit was, more;
	struct acceptor *ac;
	int fill[FILL];

	(void)state;
	getrlimit(RLIMIT_NOFILE, &was);
	more = was;
	more.rlim_cur = more.rlim_max;
	if (was.rlim_max < FILL + 100) {
		print_message("the hard limit is %llu descriptors\n",
		    (unsigned long long)was.rlim_max);
		skip();
	}
	setrlimit(RLIMIT_NOFILE, &more);
	for (int i = 0; i < FILL; i++)
		assert_true((fill[i] = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0);
	ac = threads_start(THREADS);
	for (int i = 0; i < 50; i++)
		expect_answer(client_new("/high", BODY_BYTES, 0), "/high");
	acceptor_stop(&ac);
	for (int i = 0; i < FILL; i++)
		close(fill[i]);
	setrlimit(RLIMIT_NOFILE, &was);
	assert_true(highest_fd > 1024);
	assert_int_equal(bodies_left, 0);
}

/* No number is left for another descriptor. Returns the limit before. */
static struct rlimit
use_up_descriptors(void)
{
	struct rlimit was, now;
	int lowest = fcntl(0, F_DUPFD_CLOEXEC, 0);

	assert_true(lowest >= 0);
	close(lowest);
	getrlimit(RLIMIT_NOFILE, &was);
	now = was;
	now.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	return was;
}

static void
test_emfile(void **state)
{
	int fd = client_new("/", 0, 0);
	struct rlimit was = use_up_descriptors();
	int first = FCGX_Accept_r(&rq), second = FCGX_Accept_r(&rq);

	(void)state;
	setrlimit(RLIMIT_NOFILE, &was);
	assert_int_equal(first, -EMFILE);
	assert_int_equal(second, -EMFILE);
	accept_whole("/");
	answer(&rq);
	FCGX_Finish_r(&rq);
	expect_answer(fd, "/");
}

/* The threads go on, and whoever waited is served. */
static void
test_emfile_ends_no_thread(void **state)
{
	enum { N = 40 };
	struct acceptor *ac = threads_start(THREADS);
	struct rlimit was;
	int fds[N];

	(void)state;
	for (int i = 0; i < N; i++)
		fds[i] = client_socket();
	was = use_up_descriptors();
	for (int i = 0; i < N; i++) {
		client_connect(fds[i]);
		client_send(fds[i], "/waits", 100, 0);
	}
	usleep(150000);
	for (int i = 0; i < N; i++)
		expect_peer_is_silent(fds[i]);
	setrlimit(RLIMIT_NOFILE, &was);
	for (int i = 0; i < N; i++)
		expect_answer(fds[i], "/waits");
	acceptor_stop(&ac);
	assert_int_equal(served, N);
}

struct blocked {
	pthread_t thread;
	int listen_fd;
	int flags;
	int rc;   /* of FCGX_Accept_r */
	int done; /* atomic */
};

static void *
accept_blocked(void *arg)
{
	struct blocked *b = arg;
	FCGX_Request r;

	FCGX_InitRequest(&r, b->listen_fd, b->flags);
	b->rc = FCGX_Accept_r(&r);
	if (b->rc == 0)
		answer(&r);
	FCGX_Finish_r(&r);
	__atomic_store_n(&b->done, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void
on_signal(int sig)
{
	(void)sig;
}

/* Signals for a thread that waits in accept, until it is back or ms passed. */
static void
interrupt_for(struct blocked *b, int ms)
{
	for (int i = 0; i < ms; i += 5) {
		if (__atomic_load_n(&b->done, __ATOMIC_SEQ_CST))
			return;
		pthread_kill(b->thread, SIGUSR2);
		usleep(5000);
	}
}

static void
test_eintr(void **state)
{
	const struct sigaction sa = { .sa_handler = on_signal };
	struct blocked with = { .listen_fd = listen_fd,
		.flags = FCGI_FAIL_ACCEPT_ON_INTR };
	struct blocked without = { .listen_fd = listen_fd };
	int fd;

	(void)state;
	sigaction(SIGUSR2, &sa, NULL);
	fcntl(listen_fd, F_SETFL, 0); /* so that accept waits */
	pthread_create(&with.thread, NULL, accept_blocked, &with);
	interrupt_for(&with, WAIT_MS);
	pthread_join(with.thread, NULL);
	assert_int_equal(with.rc, -EINTR);

	pthread_create(&without.thread, NULL, accept_blocked, &without);
	interrupt_for(&without, 100);
	assert_int_equal(__atomic_load_n(&without.done, __ATOMIC_SEQ_CST), 0);
	fd = client_new("/", 0, 0);
	pthread_join(without.thread, NULL);
	assert_int_equal(without.rc, 0);
	expect_answer(fd, "/");
	signal(SIGUSR2, SIG_DFL);
}

/* ---- detaching ---- */

/* Takes the request that waits away from libfcgi, as the pool does. */
static int
detach(const char *path, size_t body_len, int *request_id)
{
	struct arena *a = arena_open(1024);
	struct http_request req;
	struct err err = { 0 };
	int fd;

	assert_int_equal(FCGX_Accept_r(&rq), 0);
	http_request_init(&req, a, &rq);
	assert_string_equal(req.path, path);
	assert_int_equal(http_read_body(&req, BODY_BYTES, &err), 0);
	assert_int_equal(req.body.len, body_len);
	mallopt(M_PERTURB, 0xa5); /* what libfcgi frees is not left as it was */
	http_detach(&req, &fd, request_id);
	mallopt(M_PERTURB, 0);
	assert_int_equal(req.detached, 1);
	assert_int_equal(rq.ipcFd, -1);
	assert_string_equal(req.id, "nginx-1");
	assert_string_equal(req.method, "POST");
	assert_string_equal(req.query, "a=b");
	arena_close(&a);
	return fd;
}

/* The response of a detached request, by our own records. */
static void
answer_detached(int fd, int request_id, const char *path)
{
	char text[64];
	struct buf b;
	int n = snprintf(text, sizeof(text), "Status: 200\r\n\r\n%s", path);

	buf_init(&b, NULL);
	fcgi_put_stdout(&b, request_id, text, (size_t)n);
	fcgi_put_end(&b, request_id);
	assert_int_equal(write(fd, b.data, b.len), b.len);
	buf_fini(&b);
}

/* Three connections are held while the same FCGX_Request serves others. */
static void
detach_several(int flags)
{
	static const char *const paths[] = { "/one", "/two", "/three" };
	int clients[3], fds[3], ids[3], other;

	for (int i = 0; i < 3; i++) {
		clients[i] = client_new(paths[i], BODY_BYTES, flags);
		fds[i] = detach(paths[i], BODY_BYTES, &ids[i]);
		assert_int_equal(ids[i], 1);
		other = client_new("/other", 5, 0);
		accept_whole("/other");
		answer(&rq);
		FCGX_Finish_r(&rq);
		expect_answer(other, "/other");
	}
	for (int i = 0; i < 3; i++) {
		expect_peer_is_silent(clients[i]);
		answer_detached(fds[i], ids[i], paths[i]);
		close(fds[i]);
		expect_answer(clients[i], paths[i]);
	}
	assert_int_equal(FCGX_Accept_r(&rq), -EAGAIN);
}

static void
test_detach(void **state)
{
	(void)state;
	detach_several(0);
}

static void
test_detach_keep_conn(void **state)
{
	(void)state;
	detach_several(FCGI_KEEP_CONN);
}

/*
 * Why ipcFd is set to -1: the next accept closes the descriptor, and the new
 * connection gets its number; what is written for the one goes to the other.
 */
static void
test_forgotten_descriptor_is_closed(void **state)
{
	int first = client_new("/first", 0, 0), second, fd;
	struct reply r;

	(void)state;
	accept_whole("/first");
	fd = rq.ipcFd;
	FCGX_Free(&rq, 0);
	second = client_new("/second", 0, 0);
	accept_whole("/second");
	assert_int_equal(rq.ipcFd, fd);
	reply_read(&r, first);
	assert_int_equal(r.out.len, 0);
	assert_int_equal(r.ended, 0);
	buf_fini(&r.out);
	answer(&rq);
	FCGX_Finish_r(&rq);
	expect_answer(second, "/second");
}

/* And with FCGI_KEEP_CONN it reads the next request from it. */
static void
test_forgotten_descriptor_is_read(void **state)
{
	int first = client_new("/first", 0, FCGI_KEEP_CONN), second;

	(void)state;
	accept_whole("/first");
	FCGX_Free(&rq, 0);
	second = client_new("/second", 0, 0);
	client_send(first, "/again", 0, 0);
	accept_whole("/again");
	answer(&rq);
	FCGX_Finish_r(&rq);
	expect_answer(first, "/again");
	accept_whole("/second");
	answer(&rq);
	FCGX_Finish_r(&rq);
	expect_answer(second, "/second");
}

/* How a stream learns that its viewer left, without reading or writing. */
static void
test_peer_leaves(void **state)
{
	int client = client_new("/", BODY_BYTES, 0), id;
	int fd = detach("/", BODY_BYTES, &id);
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	(void)state;
	assert_int_equal(poll(&p, 1, 0), 0);
	close(client);
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_true(p.revents & POLLRDHUP);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	close(fd);
}

/* Answers and closes; with_body says whether the body is read before. */
static int
end_of_client(int with_body)
{
	int client = client_new("/", BODY_BYTES, 0), fd, id;
	struct reply r;

	if (with_body) {
		fd = detach("/", BODY_BYTES, &id);
	} else {
		assert_int_equal(FCGX_Accept_r(&rq), 0);
		fd = rq.ipcFd;
		id = rq.requestId;
		FCGX_Free(&rq, 0);
		rq.ipcFd = -1;
	}
	answer_detached(fd, id, "/");
	close(fd);
	reply_read(&r, client);
	buf_fini(&r.out);
	return r.end_errno;
}

/* Why the body is read to its end: bytes that nobody read make it a reset. */
static void
test_unread_body_resets(void **state)
{
	(void)state;
	assert_int_equal(end_of_client(1), 0);
	assert_int_equal(end_of_client(0), ECONNRESET);
}

/* ---- bodies ---- */

static void
test_body_bounds(void **state)
{
	struct arena *a = arena_open(1024);
	struct http_request req;
	struct err err = { 0 };
	int fd = client_new("/", 1000, 0);

	(void)state;
	assert_int_equal(FCGX_Accept_r(&rq), 0);
	http_request_init(&req, a, &rq);
	assert_int_equal(http_read_body(&req, 999, &err), -1);
	assert_int_equal(err.code, ERR_TOO_LARGE);
	assert_string_equal(err.limit, "limits.body");
	FCGX_Finish_r(&rq);
	close(fd);
	arena_close(&a);
}

/* The client leaves in the middle of its body. */
static void
test_body_cut_short(void **state)
{
	struct arena *a = arena_open(1024);
	struct http_request req;
	struct err err = { 0 };
	int fd = client_socket();
	struct buf b;

	(void)state;
	buf_init(&b, NULL);
	put_request(&b, 1, "/", 20000, 0);
	client_connect(fd);
	assert_int_equal(send(fd, b.data, b.len - 10000, 0), b.len - 10000);
	close(fd);
	assert_int_equal(FCGX_Accept_r(&rq), 0);
	http_request_init(&req, a, &rq);
	assert_int_equal(http_read_body(&req, BODY_BYTES, &err), -1);
	assert_int_equal(err.code, ERR_REQUEST);
	FCGX_Finish_r(&rq);
	assert_int_equal(rq.ipcFd, -1);
	buf_fini(&b);
	arena_close(&a);
}

/* ---- signals ---- */

static int init_took[3]; /* SIGPIPE, SIGTERM, SIGUSR1 */

/* Why the worker sets its own signals after FCGX_Init. */
static void
test_init_takes_signals(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(init_took[i], 1);
}

static int
group_setup(void **state)
{
	static const int signals[] = { SIGPIPE, SIGTERM, SIGUSR1 };
	struct sigaction now;

	(void)state;
	/* Closing waits so long for the peer, 2 s by default. */
	setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "10", 1);
	log_level_set(LOG_ERROR);
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	for (int i = 0; i < 3; i++)
		signal(signals[i], SIG_IGN);
	if (FCGX_Init() != 0)
		return -1;
	for (int i = 0; i < 3; i++) {
		sigaction(signals[i], NULL, &now);
		init_took[i] = now.sa_handler != SIG_IGN;
		signal(signals[i], i == 0 ? SIG_IGN : SIG_DFL);
	}
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_threads_without_mutex),
		TEST(test_slow_peers),
		TEST(test_nobody_there),
		TEST(test_flags_of_a_connection),
		TEST(test_more_than_1024_descriptors),
		TEST(test_emfile),
		TEST(test_emfile_ends_no_thread),
		TEST(test_eintr),
		TEST(test_detach),
		TEST(test_detach_keep_conn),
		TEST(test_forgotten_descriptor_is_closed),
		TEST(test_forgotten_descriptor_is_read),
		TEST(test_peer_leaves),
		TEST(test_unread_body_resets),
		TEST(test_body_bounds),
		TEST(test_body_cut_short),
		TEST(test_init_takes_signals),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
