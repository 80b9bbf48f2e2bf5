/* SPDX-License-Identifier: MIT */
/*
 * The FastCGI client of the loop, against libfcgi itself: what a request is
 * made of arrives, answers come back whole, and each way to get none is told.
 */
#include "config.h"

#include <fcgiapp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/loop.h"
#include "http/accept.h"
#include "http/ask.h"
#include "http/request.h"
#include "http/response.h"

#define THREADS 2
#define BODY_MAX (1 << 20)
#define ANSWER_MAX (256 * 1024)

static char dir[] = "/tmp/test_ask.XXXXXX", path[64];
static int listen_fd;
static struct acceptor *acceptor;
static struct loop *loop;
static struct asker *asker;
static int left; /* answers until the loop stops */

static struct answer {
	int status;
	enum err_code code;
	char head[512], text[128];
	size_t len;
	int order;
} answers[16];
static int told;

static const char *
or_none(const char *s)
{
	return s == NULL ? "-" : s;
}

/* Says what came; "/large" is too much, "/cut" is cut. */
static void
serve(void *ctx, FCGX_Request *fcgi)
{
	struct arena *a = arena_open(4096);
	struct http_request rq;
	struct http_response rs;
	struct err err;

	(void)ctx;
	http_request_init(&rq, a, fcgi);
	http_response_init(&rs, a);
	assert_int_equal(http_read_body(&rq, BODY_MAX, &err), 0);
	http_json(&rs, strcmp(rq.path, "/missing") == 0 ? 404 : 200);
	http_header_add(&rs, "X-More", "yes");
	buf_printf(&rs.body, "%s %s %s %s %s %s %zu %d", rq.method, rq.path,
	    or_none(http_query(&rq, "q")),
	    or_none(http_header(&rq, "HTTP_AUTHORIZATION")),
	    http_header(&rq, "REMOTE_ADDR"), http_header(&rq, "CONTENT_TYPE"),
	    rq.body.len, rq.body.len > 0 ? rq.body.data[rq.body.len - 1] : 0);
	if (strcmp(rq.path, "/large") == 0)
		while (rs.body.len <= ANSWER_MAX)
			buf_puts(&rs.body, "........");
	if (strcmp(rq.path, "/cut") == 0) {
		assert_int_equal(http_send_head(&rq, &rs), 0);
		http_cut(&rq);
	} else {
		http_send(&rq, &rs);
	}
	arena_close(&a);
}

static void
listen_there(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	strcpy(at.sun_path, path);
	listen_fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(
	    bind(listen_fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listen_fd, 64), 0);
}

static int
setup_dir(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	FCGX_Init();
	return 0;
}

static int
teardown_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static int
setup(void **state)
{
	const struct asker_limits limits = { .timeout_ms = 10000,
		.answer_bytes = ANSWER_MAX,
		.at_once = 2,
		.waiting = 4 };

	(void)state;
	listen_there();
	loop = loop_new();
	asker = asker_new(loop, path, &limits);
	left = told = 0;
	memset(answers, 0, sizeof(answers));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	asker_free(&asker);
	loop_free(&loop);
	acceptor_stop(&acceptor);
	close(listen_fd);
	unlink(path);
	return 0;
}

static void
start_serving(void)
{
	acceptor = acceptor_start(listen_fd, THREADS, serve, NULL);
}

static void
on_answer(void *ctx, const struct ask_answer *got)
{
	struct answer *a = ctx;

	a->status = got->status;
	a->code = got->err.code;
	a->len = got->len;
	a->order = ++told;
	snprintf(a->head, sizeof(a->head), "%s", got->head);
	snprintf(a->text, sizeof(a->text), "%s", got->body);
	if (--left == 0)
		loop_stop(loop);
}

static struct ask *
ask(int i, const struct ask_spec *spec)
{
	left++;
	return ask_start(asker, spec, on_answer, &answers[i]);
}

static void
test_request(void **state)
{
	const struct ask_spec get = {
		.method = "GET", .path = "/a%20b", .query = "x=1&q=%41b"
	};
	struct ask_spec post = { .method = "POST",
		.path = "/api/x",
		.authorization = "Bearer t",
		.remote_addr = "192.0.2.7",
		.type = "application/json",
		.body_len = 200000 };
	char *body = calloc(1, post.body_len);

	(void)state;
	assert_non_null(body);
	body[post.body_len - 1] = 7;
	post.body = body;
	start_serving();
	ask(0, &get);
	ask(1, &post);
	ask(2, &(const struct ask_spec){ .method = "GET", .path = "/missing" });
	loop_run(loop);
	free(body);
	assert_int_equal(answers[0].status, 200);
	assert_string_equal(answers[0].text, "GET /a b Ab - 127.0.0.1  0 0");
	assert_non_null(strstr(answers[0].head, "\r\nX-More: yes\r\n"));
	assert_int_equal(answers[1].status, 200);
	assert_string_equal(answers[1].text,
	    "POST /api/x - Bearer t 192.0.2.7 application/json 200000 7");
	assert_int_equal(answers[2].status, 404);
}

static void
test_failures(void **state)
{
	static char token[70000];
	struct ask_spec s = { .method = "GET", .path = "/large" };

	(void)state;
	start_serving();
	ask(0, &s);
	s.path = "/cut";
	ask(1, &s);
	memset(token, 'x', sizeof(token) - 1);
	s.authorization = token;
	ask(2, &s);
	loop_run(loop);
	for (int i = 0; i < 3; i++)
		assert_int_equal(answers[i].status, 0);
	assert_int_equal(answers[0].code, ERR_TOO_LARGE);
	assert_int_equal(answers[1].code, ERR_INTERNAL);
	assert_int_equal(answers[2].code, ERR_TOO_LARGE);
}

static void
test_away(void **state)
{
	const struct ask_spec s = { .method = "GET", .path = "/" };

	(void)state;
	unlink(path);
	ask(0, &s);
	assert_int_equal(told, 0); /* never from within */
	loop_run(loop);
	assert_int_equal(answers[0].code, ERR_OVERLOAD);
}

/* Two at once, four wait, more are refused; what is cancelled is not told. */
static void
test_bounds(void **state)
{
	const struct ask_spec s = { .method = "GET", .path = "/" };
	struct ask *running, *waiting;

	(void)state;
	running = ask(0, &s);
	ask(1, &s);
	ask(2, &s);
	waiting = ask(3, &s);
	ask(4, &s);
	ask(5, &s);
	ask(6, &s);
	ask_cancel(&running);
	ask_cancel(&waiting);
	assert_null(running);
	left -= 2;
	start_serving();
	loop_run(loop);
	assert_int_equal(told, 5);
	assert_int_equal(answers[0].order + answers[3].order, 0);
	assert_int_equal(answers[6].code, ERR_OVERLOAD);
	for (int i = 1; i <= 5; i++)
		assert_int_equal(answers[i].status, i == 3 ? 0 : 200);
}

/* Nobody answers. */
static void
test_timeout(void **state)
{
	const struct asker_limits limits = { 50, ANSWER_MAX, 1, 1 };
	const struct ask_spec s = { .method = "GET", .path = "/" };

	(void)state;
	asker_free(&asker);
	asker = asker_new(loop, path, &limits);
	ask(0, &s);
	ask(1, &s);
	loop_run(loop);
	assert_int_equal(answers[0].code, ERR_TIMEOUT);
	assert_int_equal(answers[1].code, ERR_TIMEOUT);
	ask(0, &s); /* and what is open is dropped with the asker */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_request),
		TEST(test_failures),
		TEST(test_away),
		TEST(test_bounds),
		TEST(test_timeout),
	};

	return cmocka_run_group_tests(tests, setup_dir, teardown_dir);
}
