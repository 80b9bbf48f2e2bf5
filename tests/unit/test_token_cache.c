/* SPDX-License-Identifier: MIT */
/*
 * The cache of verified tokens: how long it remembers, that it compares whole
 * hashes, and that it stays as big as it was made.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "auth/identity.h"
#include "auth/token_cache.h"

#define NOW 1700000000

static uint64_t era;

static void
put(struct token_cache *c, const char *token, int64_t now_s, int64_t exp)
{
	struct identity id = { .expires_s = exp };

	snprintf(id.user, sizeof(id.user), "user-of-%s", token);
	token_cache_put(c, token, strlen(token), now_s, era, &id);
}

/* 1 and the right user, or 0; another user is a failure. */
static int
get(struct token_cache *c, const char *token, int64_t now_s)
{
	struct identity id = { .expires_s = -1 };
	char want[sizeof(id.user)];

	if (!token_cache_get(c, token, strlen(token), now_s, era, &id)) {
		assert_int_equal(id.expires_s, -1);
		return 0;
	}
	snprintf(want, sizeof(want), "user-of-%s", token);
	assert_string_equal(id.user, want);
	return 1;
}

static void
test_times(void **state)
{
	static const struct {
		int64_t exp, later_s;
		int found;
	} rows[] = {
		{ NOW + 3600, 0, 1 },
		{ NOW + 3600, 59, 1 },
		{ NOW + 3600, 60, 0 }, /* the cache's own bound */
		{ NOW + 10, 9, 1 },
		{ NOW + 10, 10, 0 }, /* the token's */
		{ NOW, 0, 0 },       /* accepted by leeway only */
		{ NOW - 5, 0, 0 },
		{ NOW + 3600, -1, 0 }, /* the clock went back */
		{ NOW + 3600, -100000, 0 },
		{ NOW + 3600, 100000, 0 },
	};
	struct token_cache *c;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c = token_cache_new(8);
		put(c, "token", NOW, rows[i].exp);
		assert_int_equal(
		    get(c, "token", NOW + rows[i].later_s), rows[i].found);
		token_cache_free(&c);
		assert_null(c);
	}
}

static void
test_other_tokens(void **state)
{
	struct token_cache *c = token_cache_new(1);
	struct identity id;

	(void)state;
	put(c, "token", NOW, NOW + 100);
	assert_true(get(c, "token", NOW));
	assert_false(get(c, "token2", NOW));
	assert_false(get(c, "Token", NOW));
	assert_false(get(c, "toke", NOW));
	assert_false(get(c, "", NOW));
	assert_false(token_cache_get(c, "token\0", 6, NOW, era, &id));
	token_cache_free(&c);
}

/* Putting again renews, and does not take a second place. */
static void
test_renew(void **state)
{
	struct token_cache *c = token_cache_new(4);

	(void)state;
	put(c, "a", NOW, NOW + 3600);
	put(c, "b", NOW, NOW + 3600);
	put(c, "c", NOW, NOW + 3600);
	for (int i = 0; i < 10; i++)
		put(c, "a", NOW + i, NOW + 3600);
	assert_true(get(c, "a", NOW + 65));
	assert_true(get(c, "b", NOW + 20));
	assert_true(get(c, "c", NOW + 20));
	token_cache_free(&c);
}

/* In a full set the one that ends first goes; a dead one goes before it. */
static void
test_eviction(void **state)
{
	struct token_cache *c = token_cache_new(4);

	(void)state;
	put(c, "a", NOW, NOW + 40);
	put(c, "b", NOW, NOW + 20);
	put(c, "c", NOW, NOW + 30);
	put(c, "d", NOW, NOW + 50);
	put(c, "e", NOW, NOW + 45);
	assert_false(get(c, "b", NOW));
	assert_true(get(c, "a", NOW));
	assert_true(get(c, "c", NOW));
	assert_true(get(c, "d", NOW));
	assert_true(get(c, "e", NOW));
	put(c, "f", NOW + 35, NOW + 41);
	assert_true(get(c, "f", NOW + 35));
	assert_true(get(c, "a", NOW + 35));
	assert_true(get(c, "d", NOW + 35));
	token_cache_free(&c);
}

static void
test_many(void **state)
{
	struct token_cache *c = token_cache_new(1000);
	char token[32];
	int found = 0;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(token, sizeof(token), "t%d", i);
		put(c, token, NOW, NOW + 3600);
		assert_true(get(c, token, NOW));
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(token, sizeof(token), "t%d", i);
		found += get(c, token, NOW);
	}
	assert_in_range(found, 1000, 1024);
	token_cache_free(&c);
}

/* What was verified with other keys is forgotten. */
static void
test_eras(void **state)
{
	struct token_cache *c = token_cache_new(4);

	(void)state;
	put(c, "token", NOW, NOW + 100);
	era++;
	assert_false(get(c, "token", NOW));
	put(c, "token", NOW, NOW + 100);
	assert_true(get(c, "token", NOW));
	token_cache_free(&c);
}

static void
test_off(void **state)
{
	struct token_cache *c = token_cache_new(0);

	(void)state;
	put(c, "token", NOW, NOW + 100);
	assert_false(get(c, "token", NOW));
	token_cache_free(&c);
	token_cache_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_other_tokens),
		cmocka_unit_test(test_renew),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_eras),
		cmocka_unit_test(test_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
