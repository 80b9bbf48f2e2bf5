/* SPDX-License-Identifier: MIT */
/* Budgets: which counts, what is left of it, and until when. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "store/budget.h"

/* 2026-11-30 23:59:59.500 and half a second later, UTC. */
#define LAST_MS INT64_C(1796083199500)
#define FIRST_MS INT64_C(1796083200000)

static void
test_limits_of(void **state)
{
	struct conf c = { .budget_turn_tokens = 7,
		.budget_user_day_cost = 2500000,
		.budget_agent_cost = -1 };
	struct budget_limits l;

	(void)state;
	budget_limits_of(&c, &l);
	assert_int_equal(l.most[BUDGET_TURN][BUDGET_TOKENS], 7);
	assert_true(l.most[BUDGET_USER_DAY][BUDGET_COST] == 2500000000);
	assert_int_equal(l.most[BUDGET_AGENT][BUDGET_COST], 0);
	assert_int_equal(budget_any(&l), 1);
	c = (struct conf){ .budget_agent_cost = -1 };
	budget_limits_of(&c, &l);
	assert_int_equal(budget_any(&l), 0);
}

static void
test_lower(void **state)
{
	struct budget_limits l = { .most = { { 10, 0 }, { 10, 5 } } };
	const struct budget_limits by = { .most = { { 20, 3 }, { 9, 0 } } };

	(void)state;
	budget_lower(&l, &by);
	assert_int_equal(l.most[0][0], 10);
	assert_int_equal(l.most[0][1], 3);
	assert_int_equal(l.most[1][0], 9);
	assert_int_equal(l.most[1][1], 5);
}

static void
test_left(void **state)
{
	struct budget_limits l = { .most = { { 0 } } };
	struct budget_spent s = { .used = { { 0 } } };
	struct budget_name which = { BUDGET_AGENT, BUDGET_COST };

	(void)state;
	assert_true(budget_left(&l, &s, BUDGET_TOKENS, &which) == INT64_MAX);
	assert_int_equal(which.scope, BUDGET_AGENT);
	l.most[BUDGET_TURN][BUDGET_TOKENS] = 100;
	l.most[BUDGET_TENANT_MONTH][BUDGET_TOKENS] = 1000;
	s.used[BUDGET_TENANT_MONTH][BUDGET_TOKENS] = 950;
	assert_int_equal(budget_left(&l, &s, BUDGET_TOKENS, &which), 50);
	assert_int_equal(which.scope, BUDGET_TENANT_MONTH);
	s.used[BUDGET_TURN][BUDGET_TOKENS] = 130;
	assert_int_equal(budget_left(&l, &s, BUDGET_TOKENS, &which), -30);
	assert_int_equal(which.scope, BUDGET_TURN);
	assert_true(budget_left(&l, &s, BUDGET_COST, &which) == INT64_MAX);
}

/* What a human allowed holds for one budget, by what the turn has spent. */
static void
test_allowed(void **state)
{
	const char *numbers[24];
	struct budget_limits l = { .most = { { 0 } } };
	struct budget_spent s = { .day = "" };
	struct budget_name which;

	(void)state;
	for (int i = 0; i < 24; i++)
		numbers[i] = "0";
	numbers[0] = "150";      /* the turn's tokens */
	numbers[4] = "1500";     /* the user's day's */
	numbers[12 + 4] = "170"; /* allowed of that */
	l.most[BUDGET_USER_DAY][BUDGET_TOKENS] = 1000;
	budget_spent_read(&s, numbers, 24);
	assert_int_equal(budget_left(&l, &s, BUDGET_TOKENS, &which), 20);
	budget_spent_read(&s, numbers, 12); /* without: it stays */
	assert_int_equal(budget_left(&l, &s, BUDGET_TOKENS, &which), 20);
	l.most[BUDGET_TURN][BUDGET_TOKENS] = 160;
	assert_int_equal(budget_left(&l, &s, BUDGET_TOKENS, &which), 10);
	assert_int_equal(which.scope, BUDGET_TURN);
	budget_new_turn(&s);
	assert_int_equal(budget_left(&l, &s, BUDGET_TOKENS, &which), -500);
}

static void
test_periods(void **state)
{
	struct budget_spent s;
	const char *numbers[] = { "1", "2", "3", "4", "5", "6", "7", "8" };

	(void)state;
	assert_int_equal(budget_resets_s(BUDGET_EVER, LAST_MS), 0);
	assert_int_equal(budget_resets_s(BUDGET_DAY, LAST_MS), FIRST_MS / 1000);
	assert_int_equal(
	    budget_resets_s(BUDGET_MONTH, LAST_MS), FIRST_MS / 1000);
	assert_int_equal(budget_resets_s(BUDGET_MONTH, FIRST_MS),
	    FIRST_MS / 1000 + 31 * 86400); /* into another year */
	store_day(LAST_MS, 0, s.day);
	assert_string_equal(s.day, "2026-11-30");
	budget_spent_read(&s, numbers, 8);
	assert_int_equal(s.used[BUDGET_TENANT_DAY][BUDGET_TOKENS], 0);
	budget_renew(&s, LAST_MS);
	assert_int_equal(s.used[BUDGET_USER_MONTH][BUDGET_COST], 8);
	budget_renew(&s, LAST_MS - 86400 * 1000); /* the clock went back */
	assert_int_equal(s.used[BUDGET_USER_DAY][BUDGET_TOKENS], 0);
	assert_int_equal(s.used[BUDGET_USER_MONTH][BUDGET_COST], 8);
	budget_renew(&s, FIRST_MS);
	assert_int_equal(s.used[BUDGET_USER_MONTH][BUDGET_COST], 0);
	assert_int_equal(s.used[BUDGET_AGENT][BUDGET_COST], 4);
	assert_string_equal(s.day, "2026-12-01");
}

static void
test_names(void **state)
{
	char text[STORE_PERIOD_SIZE];
	struct buf b;

	(void)state;
	for (int i = 0; i < 14; i++)
		store_month(LAST_MS, i, text);
	assert_string_equal(text, "2025-10");
	store_day(FIRST_MS, 1, text);
	assert_string_equal(text, "2026-11-30");
	buf_init(&b, NULL);
	budget_add(&b, "a", BUDGET_TOKENS, 12);
	budget_add(&b, "b", BUDGET_COST, INT64_C(12000000007));
	assert_string_equal(buf_str(&b), "\"a\":12,\"b\":12.000000007");
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits_of),
		cmocka_unit_test(test_lower),
		cmocka_unit_test(test_left),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_periods),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
