/* SPDX-License-Identifier: MIT */
/* base64url: RFC 4648's vectors, and that no text has two spellings. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/b64.h"
#include "base/buf.h"
#include "base/id.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int
decode(struct buf *out, const char *text, size_t len)
{
	buf_clear(out);
	return b64url_decode(out, text, len);
}

static void
test_vectors(void **state)
{
	static const struct {
		const char *plain, *text;
	} rows[] = {
		{ "", "" },
		{ "f", "Zg" },
		{ "fo", "Zm8" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg" },
		{ "fooba", "Zm9vYmE" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xef\xbf\xfb", "_--_-w" },
	};
	struct buf b;

	(void)state;
	buf_init(&b, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_clear(&b);
		b64url_encode(&b, rows[i].plain, strlen(rows[i].plain));
		assert_string_equal(buf_str(&b), rows[i].text);
		assert_int_equal(
		    decode(&b, rows[i].text, strlen(rows[i].text)), 0);
		assert_string_equal(buf_str(&b), rows[i].plain);
	}
	buf_fini(&b);
}

static void
test_refused(void **state)
{
	static const char *const rows[] = { "Z", "Zm9vY",
		"Zg==", "Zg=", "Zm8=", "Z g", "Zg\n", "\nZg", "Zm+v", "Zm/v",
		"Zm9v.", "Zm9v\x80", "Z\xc3\xa9", "=", "====", "Zm9vYmF=" };
	struct buf b;

	(void)state;
	buf_init(&b, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(decode(&b, rows[i], strlen(rows[i])), -1);
	assert_int_equal(decode(&b, "Zg\0", 3), -1);
	assert_int_equal(decode(&b, "\0\0\0\0", 4), -1);
	buf_fini(&b);
}

/* Of all texts of 2 and 3 digits only those whose unused bits are zero. */
static void
test_canonical_only(void **state)
{
	struct buf b, again;
	char text[4] = "AAA";
	int good = 0;

	(void)state;
	buf_init(&b, NULL);
	buf_init(&again, NULL);
	for (int i = 0; i < 64 * 64; i++) {
		text[0] = digits[i / 64];
		text[1] = digits[i % 64];
		for (size_t len = 2; len <= 3; len++) {
			text[2] = digits[i % 61];
			if (decode(&b, text, len) < 0)
				continue;
			buf_clear(&again);
			b64url_encode(&again, b.data, b.len);
			assert_int_equal(again.len, len);
			assert_memory_equal(again.data, text, len);
			good += len == 2;
		}
	}
	assert_int_equal(good, 256);
	buf_fini(&b);
	buf_fini(&again);
}

/* Each of the 256 bytes is a digit or refused, at every place. */
static void
test_alphabet(void **state)
{
	char text[4];
	struct buf b;

	(void)state;
	buf_init(&b, NULL);
	for (int c = 0; c < 256; c++) {
		int known = c != 0 && strchr(digits, c) != NULL;

		for (size_t at = 0; at < 4; at++) {
			memcpy(text, "AAAA", 4);
			text[at] = (char)c;
			assert_int_equal(decode(&b, text, 4), known ? 0 : -1);
		}
	}
	buf_fini(&b);
}

static void
test_round_trip(void **state)
{
	unsigned char data[300];
	struct buf text, back;

	(void)state;
	buf_init(&text, NULL);
	buf_init(&back, NULL);
	id_random(data, sizeof(data));
	for (size_t len = 0; len <= sizeof(data); len++) {
		buf_clear(&text);
		b64url_encode(&text, data, len);
		assert_int_equal(text.len, (len * 4 + 2) / 3);
		assert_int_equal(decode(&back, buf_str(&text), text.len), 0);
		assert_int_equal(back.len, len);
		assert_memory_equal(buf_str(&back), data, len);
	}
	buf_fini(&text);
	buf_fini(&back);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_canonical_only),
		cmocka_unit_test(test_alphabet),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
