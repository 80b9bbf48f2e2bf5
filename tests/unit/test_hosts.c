/* SPDX-License-Identifier: MIT */
/* Which hosts a command may reach. */
#include "config.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "sandbox/hosts.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static struct hosts *
list_of(struct arena *a, const char *text, struct err *err)
{
	const struct json *j = json_parse(a, text, strlen(text), 4, NULL);

	assert_non_null(j);
	return hosts_parse(a, j, err);
}

static void
test_read(void **state)
{
	static const char *const good[] = { "example.org", "a.b-c.d_e.org:1",
		"localhost:65535", "EXAMPLE.ORG.", "example.org.:443",
		"127.0.0.1", "127.0.0.1:80", "[::1]", "[2001:db8::1]:443",
		"xn--bcher-kva.example" };
	static const char *const bad[] = { "", ".", ":80", "a..b", ".a",
		"127.1", "0x7f.1", "2130706433", "0x7f000001", "256.1.1.1",
		"a.1", "::1", "[::1", "[::1]80", "[::1]:", "[]", "[127.0.0.1]",
		"[fe80::1%eth0]", "a:", "a:0", "a:65536", "a:080000", "a:-1",
		"a b", "a/b", "u@a", "*.a", "*", "b\303\274cher.de" };
	struct host host;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		if (host_read(good[i], strlen(good[i]), &host) < 0)
			fail_msg("%s is refused", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (host_read(bad[i], strlen(bad[i]), &host) == 0)
			fail_msg("%s is read as %s", bad[i], host.name);
	assert_int_equal(host_read("a\0b", 3, &host), -1);
	assert_int_equal(host_read("A.B.:7", 6, &host), 0);
	assert_string_equal(host.name, "a.b");
	assert_int_equal(host.port, 7);
	assert_int_equal(host.is_address, 0);
}

static int
admits(const struct hosts *h, const char *text)
{
	struct host host;

	assert_int_equal(host_read(text, strlen(text), &host), 0);
	return hosts_admit(h, &host);
}

static void
test_admit(void **state)
{
	static const char *const yes[] = { "one.org:443", "ONE.org.:80",
		"two.org:8443", "a.three.org:443", "a.b.three.org:80",
		"x.four.org:22", "192.0.2.1:80", "192.0.2.2:8080",
		"[2001:db8:0:0::1]:443", "[::ffff:192.0.2.1]:443" };
	static const char *const no[] = { "one.org:8443", "two.org:443",
		"www.one.org:443", "three.org:443", "athree.org:443",
		"three.org.evil.org:443", "a.three.org:22", "four.org:22",
		"x.four.org:443", "192.0.2.1:22", "192.0.2.2:80",
		"192.0.2.3:80", "[2001:db8::2]:443", "org:443" };
	struct arena *a = arena_open(4096);
	struct hosts *h = list_of(a,
	    "[\"One.org\",\"two.org:8443\",\"*.three.org\",\"*.four.org:22\","
	    "\"192.0.2.1\",\"192.0.2.2:8080\",\"[2001:db8::1]\"]",
	    NULL);

	(void)state;
	assert_non_null(h);
	for (size_t i = 0; i < COUNT(yes); i++)
		if (!admits(h, yes[i]))
			fail_msg("%s is refused", yes[i]);
	for (size_t i = 0; i < COUNT(no); i++)
		if (admits(h, no[i]))
			fail_msg("%s is admitted", no[i]);
	arena_close(&a);
}

static void
test_address(void **state)
{
	struct arena *a = arena_open(4096);
	struct hosts *h =
	    list_of(a, "[\"localhost\",\"127.0.0.1:81\",\"[::1]\"]", NULL);
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		.sin6_addr = in6addr_loopback };
	struct sockaddr other = { .sa_family = AF_UNIX };

	(void)state;
	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(hosts_admit_address(h, (struct sockaddr *)&v4, 81), 1);
	assert_int_equal(hosts_admit_address(h, (struct sockaddr *)&v4, 80), 0);
	assert_int_equal(hosts_admit_address(h, (struct sockaddr *)&v6, 80), 1);
	v6.sin6_addr.s6_addr[15] = 2;
	assert_int_equal(hosts_admit_address(h, (struct sockaddr *)&v6, 80), 0);
	assert_int_equal(hosts_admit_address(h, &other, 80), 0);
	arena_close(&a);
}

static void
test_lists_that_are_none(void **state)
{
	static const char *const bad[] = { "{}", "\"example.org\"", "[1]",
		"[\"\"]", "[\"*\"]", "[\"*.\"]", "[\"*.127.0.0.1\"]",
		"[\"*.[::1]\"]", "[\"a.*.org\"]", "[\"example.org\",null]",
		"[\"https://example.org\"]", "[\"example.org:http\"]" };
	struct arena *a = arena_open(4096);
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		err_clear(&err);
		if (list_of(a, bad[i], &err) != NULL)
			fail_msg("%s is read", bad[i]);
		assert_int_equal(err.code, ERR_CONFIG);
	}
	assert_non_null(list_of(a, "[]", NULL));
	arena_close(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_admit),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_lists_that_are_none),
	};

	return cmocka_run_group_tests_name("hosts", tests, NULL, NULL);
}
