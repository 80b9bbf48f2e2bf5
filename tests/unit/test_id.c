/* SPDX-License-Identifier: MIT */
/* Ids: their form, and that no two are alike. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/id.h"

#define BODY "0123456789abcdefghjkmnpqrs"

static void
test_form(void **state)
{
	char id[ID_SIZE];

	(void)state;
	id_make(id, "agt_");
	assert_int_equal(strlen(id), 30);
	assert_memory_equal(id, "agt_", 4);
	assert_int_equal(id_valid(id, "agt_"), 1);
	assert_int_equal(id_valid(id, "msg_"), 0);
	id_make(id, "abcd_");
	assert_int_equal(strlen(id), ID_SIZE - 1);
	id_make(id, "");
	assert_int_equal(id_valid(id, ""), 1);
}

static void
test_valid(void **state)
{
	static const struct {
		const char *id;
		int valid;
	} rows[] = {
		{ "agt_" BODY, 1 },
		{ "agt_" BODY "t", 0 },
		{ "agt_0123456789abcdefghjkmnpqr", 0 },
		{ "agt_0123456789ABCDEFGHJKMNPQRS", 0 },
		{ "agt_0123456789abcdefghjkmnpqri", 0 },
		{ "agt_0123456789abcdefghjkmnpqrl", 0 },
		{ "agt_0123456789abcdefghjkmnpqro", 0 },
		{ "agt_0123456789abcdefghjkmnpqru", 0 },
		{ "agt_0123456789abcdefghjkmnpqr ", 0 },
		{ "agt_0123456789abcdefghjkmnpqr\n", 0 },
		{ "agt_0123456789abcdefghjkmnpqr:", 0 },
		{ "agt_../../../../../etc/passwd1", 0 },
		{ "AGT_" BODY, 0 },
		{ "agt" BODY, 0 },
		{ BODY, 0 },
		{ "agt_", 0 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(id_valid(rows[i].id, "agt_"), rows[i].valid);
}

static int
cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
test_differ(void **state)
{
	static char ids[5000][ID_SIZE];

	(void)state;
	for (int i = 0; i < 5000; i++)
		id_make(ids[i], "x_");
	qsort(ids, 5000, ID_SIZE, cmp);
	for (int i = 1; i < 5000; i++)
		assert_string_not_equal(ids[i - 1], ids[i]);
}

/* Every digit but the last, which has only 3 bits, takes all 32 values. */
static void
test_spread(void **state)
{
	unsigned seen[26][256] = { { 0 } };
	char id[ID_SIZE];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		id_make(id, "");
		for (int k = 0; k < 26; k++)
			seen[k][(unsigned char)id[k]] = 1;
	}
	for (int k = 0; k < 26; k++) {
		unsigned n = 0;

		for (int c = 0; c < 256; c++)
			n += seen[k][c];
		assert_int_equal(n, k == 25 ? 8 : 32);
	}
}

static void
test_random(void **state)
{
	unsigned char a[600], b[600];

	(void)state;
	memset(a, 0, sizeof(a));
	id_random(a, 500);
	id_random(b, sizeof(b));
	assert_memory_not_equal(a, b, 500);
	for (int i = 500; i < 600; i++)
		assert_int_equal(a[i], 0);
	id_random(a, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_differ),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
