/* SPDX-License-Identifier: MIT */
/* Routes: by path, then by method; what :name stands for; 404 and 405. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "http/request.h"
#include "http/route.h"

static const struct http_route routes[] = {
	{ "GET", "/agents", NULL, 1 },
	{ "POST", "/agents", NULL, 2 },
	{ "GET", "/agents/:id", NULL, 3 },
	{ "PATCH", "/agents/:id", NULL, 4 },
	{ "DELETE", "/agents/:id", NULL, 5 },
	{ "POST", "/agents/:id/chat", NULL, 6 },
	{ "GET", "/agents/:id/messages/:message", NULL, 7 },
	{ "GET", "/", NULL, 8 },
	{ "GET", "/a/:b/:c/:d", NULL, 9 }, /* more than may be */
	{ NULL, NULL, NULL, 0 },
};

static struct arena *a;
static struct http_request rq;
static struct err err;
static char allow[80];

static int
setup(void **state)
{
	(void)state;
	a = arena_open(1024);
	memset(&rq, 0, sizeof(rq));
	rq.arena = a;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_close(&a);
	return 0;
}

/* The flags of the row that is found, 0 for none. */
static unsigned
find(const char *method, const char *path)
{
	const struct http_route *r;

	rq.method = method;
	rq.path = path;
	rq.param[0] = rq.param[1] = NULL;
	err_clear(&err);
	r = http_route_find(routes, &rq, allow, sizeof(allow), &err);
	assert_int_equal(r == NULL, err.code != ERR_NONE);
	return r == NULL ? 0 : r->flags;
}

static void
test_found(void **state)
{
	static const struct {
		const char *method, *path;
		unsigned row;
		const char *param[2];
	} rows[] = {
		{ "GET", "/agents", 1, { NULL, NULL } },
		{ "POST", "/agents", 2, { NULL, NULL } },
		{ "GET", "/agents/x", 3, { "x", NULL } },
		{ "PATCH", "/agents/x y", 4, { "x y", NULL } },
		{ "DELETE", "/agents/:id", 5, { ":id", NULL } },
		{ "POST", "/agents/agt_1/chat", 6, { "agt_1", NULL } },
		{ "GET", "/agents/a/messages/b", 7, { "a", "b" } },
		{ "GET", "/", 8, { NULL, NULL } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    find(rows[i].method, rows[i].path), rows[i].row);
		for (int k = 0; k < HTTP_PATH_PARAMS; k++) {
			if (rows[i].param[k] == NULL)
				continue;
			assert_string_equal(rq.param[k], rows[i].param[k]);
		}
	}
}

static void
test_not_found(void **state)
{
	static const char *const rows[] = { "", "agents", "/agent", "/agentss",
		"/Agents", "//agents", "/agents/", "/agents//", "/agents/x/",
		"/agents/x/chats", "/agents/x/chat/", "/agents/x/chat/y",
		"/agents//chat", "/agents/x/messages", "/agents/x/messages/",
		"//", "/agents?x", "/a/1/2/3", "/agents\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(find("GET", rows[i]), 0);
		assert_int_equal(err.code, ERR_NOT_FOUND);
		assert_string_equal(allow, "");
	}
}

static void
test_head(void **state)
{
	(void)state;
	assert_int_equal(find("HEAD", "/agents"), 1);
	assert_int_equal(find("HEAD", "/agents/x"), 3);
	assert_string_equal(rq.param[0], "x");
	assert_int_equal(find("HEAD", "/agents/x/chat"), 0);
	assert_int_equal(err.code, ERR_METHOD);
}

static void
test_allow(void **state)
{
	static const struct {
		const char *method, *path, *allow;
	} rows[] = {
		{ "PUT", "/agents", "GET, HEAD, POST, OPTIONS" },
		{ "PUT", "/agents/x", "GET, HEAD, PATCH, DELETE, OPTIONS" },
		{ "GET", "/agents/x/chat", "POST, OPTIONS" },
		{ "get", "/", "GET, HEAD, OPTIONS" },
		{ "", "/", "GET, HEAD, OPTIONS" },
		{ "GETT", "/", "GET, HEAD, OPTIONS" },
		{ "OPTIONS", "/agents", "GET, HEAD, POST, OPTIONS" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(find(rows[i].method, rows[i].path), 0);
		assert_int_equal(err.code, ERR_METHOD);
		assert_string_equal(allow, rows[i].allow);
		assert_non_null(strstr(err.text, rows[i].allow));
	}
}

/* A list that does not fit is cut, not written beyond its room. */
static void
test_allow_is_bounded(void **state)
{
	(void)state;
	rq.method = "PUT";
	rq.path = "/agents/x";
	for (size_t size = 1; size < sizeof(allow); size++) {
		memset(allow, '#', sizeof(allow));
		assert_null(http_route_find(routes, &rq, allow, size, &err));
		assert_true(strlen(allow) < size);
		assert_int_equal(allow[size], '#');
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_found),
		TEST(test_not_found),
		TEST(test_head),
		TEST(test_allow),
		TEST(test_allow_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
