/* SPDX-License-Identifier: MIT */
/* Which addresses requests may go to. */
#include "config.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "net/address.h"

static int
admits(const struct networks *n, const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return networks_admit(n, (struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return networks_admit(n, (struct sockaddr *)&v6);
}

static void
test_public(void **state)
{
	static const char *const yes[] = { "8.8.8.8", "1.1.1.1", "172.15.0.1",
		"172.32.0.1", "192.0.1.1", "11.0.0.1", "126.255.255.255",
		"223.255.255.255", "2606:4700::1111", "2a00:1450::1",
		"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "100.128.0.1" };
	static const char *const no[] = { "127.0.0.1", "127.255.255.255",
		"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255",
		"224.0.0.1", "198.18.0.1", "::1", "::", "::ffff:127.0.0.1",
		"::ffff:10.1.2.3", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1",
		"::127.0.0.1", "fe80::1", "fd00::1", "fc00::1", "ff02::1",
		"2001:db8::1", "2002:7f00:1::", "2001::1", "fec0::1" };
	struct networks *n = networks_parse("", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!admits(n, yes[i]))
			fail_msg("%s is refused", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (admits(n, no[i]))
			fail_msg("%s is admitted", no[i]);
	networks_free(&n);
}

static void
test_configured(void **state)
{
	struct networks *n =
	    networks_parse(" 10.1.0.0/16  127.0.0.1 fd00:1::/33 ", NULL);

	(void)state;
	assert_non_null(n);
	assert_true(admits(n, "10.1.255.255"));
	assert_false(admits(n, "10.2.0.0"));
	assert_true(admits(n, "127.0.0.1"));
	assert_true(admits(n, "::ffff:127.0.0.1"));
	assert_false(admits(n, "127.0.0.2"));
	assert_true(admits(n, "fd00:1:7fff::1"));
	assert_false(admits(n, "fd00:1:8000::1"));
	assert_true(admits(n, "8.8.8.8"));
	networks_free(&n);
	assert_null(n);
	n = networks_parse("0.0.0.0/0", NULL);
	assert_true(admits(n, "127.0.0.1"));
	assert_false(admits(n, "::1"));
	networks_free(&n);
}

static void
test_broken(void **state)
{
	static const char *const bad[] = { "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.0/", "10.0.0/8", "fd00::/129", "localhost",
		"10.0.0.0/8x", "10.0.0.0/8,127.0.0.1", "1:2:3:4:5:6:7:8:9" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err;

		if (networks_parse(bad[i], &err) != NULL)
			fail_msg("%s is taken", bad[i]);
		assert_int_equal(err.code, ERR_CONFIG);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_configured),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
