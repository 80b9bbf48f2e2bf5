/* SPDX-License-Identifier: MIT */
/* tool/skill_read: what a SKILL.md may say, and where it is wrong. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "tool/skill_read.h"
#include "tool/skills.h"

static struct arena *a;

static int
read_text(const char *text, struct skill *s, int *line, struct err *err)
{
	memset(s, 0, sizeof(*s));
	err_clear(err);
	return skill_read(a, text, strlen(text), s, line, err);
}

static void
good_ones(void **state)
{
	static const struct {
		const char *text, *name, *description;
	} rows[] = {
		{ "---\nname: a\ndescription: b\n---\ntext", "a", "b" },
		{ "---\nname: a\ndescription: b\n---", "a", "b" },
		{ "\xef\xbb\xbf---\nname: a\ndescription: b\n---\n", "a", "b" },
		{ "--- \r\nname: a-1\r\ndescription: b\r\n---\r\nx\r\n", "a-1",
		    "b" },
		{ "---\ndescription: 'it''s: good' # so\nname: \"a\"\n---\n",
		    "a", "it's: good" },
		{ "---\nname: a\ndescription: >-\n  two\n  lines\n\n  x\n---\n",
		    "a", "two lines x" },
		{ "---\nname: a\ndescription: \" \\t b\\u00fc \\n\"\n---\n",
		    "a", "b\xc3\xbc" },
		{ "---\nlicense: x\nmetadata: {a: [1, {name: q}]}\nname: a\n"
		  "allowed-tools:\n  - b\ndescription: b\n---\n",
		    "a", "b" },
		{ "---\nx: &x [y]\nz: *x\nname: a\ndescription: b\n---\n", "a",
		    "b" },
	};
	struct skill s;
	struct err err;
	int line;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (read_text(rows[i].text, &s, &line, &err) < 0)
			fail_msg("%zu: line %d: %s", i, line, err.text);
		assert_string_equal(s.name, rows[i].name);
		assert_string_equal(s.description, rows[i].description);
		assert_int_equal(s.text_len, strlen(rows[i].text));
	}
}

static void
bad_ones(void **state)
{
	static const struct {
		const char *text;
		int line;
		const char *why;
	} rows[] = {
		{ "", 1, "no front matter" },
		{ "---", 1, "no front matter" },
		{ "name: a\n---\n", 1, "no front matter" },
		{ "\n---\nname: a\n---\n", 1, "no front matter" },
		{ "---\nname: a\ndescription: b\n", 1, "second line ---" },
		{ "---\n---\n", 2, "no list of members" },
		{ "---\n- a\n---\n", 2, "no list of members" },
		{ "---\nname: a\n---\n", 1, "description is missing" },
		{ "---\ndescription: a\n---\n", 1, "name is missing" },
		{ "---\nname: [a]\n---\n", 2, "not a text" },
		{ "---\nx: {a\nname: b\n---\n", 3, "no YAML" },
		{ "---\nname: a\n\tdescription: b\n---\n", 3, "no YAML" },
		{ "---\nname: a\nname: a\n---\n", 3, "name is there twice" },
		{ "---\nname: a\ndescription: [b]\n---\n", 3, "not a text" },
		{ "---\nx: &x b\nname: a\ndescription: *x\n---\n", 4,
		    "not a text" },
		{ "---\nname: a\ndescription: ''\n---\n", 3, "is empty" },
		{ "---\nname: a\ndescription:\n---\n", 3, "is empty" },
		{ "---\nname: a\ndescription: \"a\\0b\"\n---\n", 3,
		    "control character" },
		{ "---\nname: a\ndescription: \"a\\eb\"\n---\n", 3,
		    "control character" },
		{ "---\nname: A\ndescription: b\n---\n", 2, "lower case" },
		{ "---\nname: -a\ndescription: b\n---\n", 2, "lower case" },
		{ "---\nname: a--b\ndescription: b\n---\n", 2, "lower case" },
		{ "---\nname: ../a\ndescription: b\n---\n", 2, "lower case" },
		{ "---\n[a]: b\n---\n", 2, "not a text" },
		{ "---\nname: a\ndescription: b\n...\nx\n---\n", 5, "" },
		{ "---\nname: a\ndescription: b\n---\nab\ncd \xff\n", 6,
		    "UTF-8" },
	};
	struct skill s;
	struct err err;
	int line;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (read_text(rows[i].text, &s, &line, &err) == 0)
			fail_msg("%zu was read", i);
		assert_int_equal(err.code, ERR_CONFIG);
		if (strstr(err.text, rows[i].why) == NULL ||
		    line != rows[i].line)
			fail_msg("%zu: line %d: %s", i, line, err.text);
	}
}

static void
nul_bytes(void **state)
{
	static const char text[] = "---\nname: a\ndescription: b\n---\n\0";
	struct skill s;
	struct err err;
	int line;

	(void)state;
	assert_int_equal(
	    skill_read(a, text, sizeof(text) - 1, &s, &line, &err), -1);
	assert_int_equal(line, 5);
}

static int
read_sized(size_t name, size_t chars, size_t more, struct err *err)
{
	struct skill s;
	struct buf b;
	int line;

	buf_init(&b, a);
	buf_lit(&b, "---\nname: ");
	for (size_t i = 0; i < name; i++)
		buf_putc(&b, 'n');
	buf_lit(&b, "\ndescription: ");
	for (size_t i = 0; i < chars; i++)
		buf_lit(&b, "\xc3\xbc");
	buf_lit(&b, "\nmore: ");
	for (size_t i = 0; i < more; i++)
		buf_putc(&b, 'm');
	buf_lit(&b, "\n---\n");
	return read_text(b.data, &s, &line, err);
}

static void
bounds(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(read_sized(64, 1024, 1000, &err), 0);
	assert_int_equal(read_sized(65, 1, 0, &err), -1);
	assert_int_equal(read_sized(1, 1025, 0, &err), -1);
	assert_non_null(strstr(err.text, "1025 characters"));
	assert_int_equal(read_sized(1, 1, 17000, &err), -1);
	assert_non_null(strstr(err.text, "larger than"));
}

/* The prompt has every skill, or says how many it leaves out. */
static void
prompt(void **state)
{
	static struct skill skills[256];
	const struct skill *list[256];
	struct skill_list all = { list, 2 };
	struct buf b, d;

	(void)state;
	buf_init(&d, a);
	for (int i = 0; i < 1024; i++)
		buf_putc(&d, 'd');
	for (size_t i = 0; i < 256; i++) {
		skills[i].name = arena_printf(a, "skill-%zu", i);
		skills[i].description = d.data;
		list[i] = &skills[i];
	}
	buf_init(&b, a);
	skill_list_prompt(&all, &b);
	assert_non_null(strstr(b.data, "\n- skill-1: ddd"));
	assert_null(strstr(b.data, "more;"));
	buf_clear(&b);
	all.count = 256;
	skill_list_prompt(&all, &b);
	assert_true(b.len < 33 * 1024);
	assert_non_null(strstr(b.data, "\nThere are 225 more; "));
	assert_ptr_equal(skill_list_find(&all, "skill-200"), &skills[200]);
	assert_null(skill_list_find(&all, "skill"));
}

static int
set_up(void **state)
{
	(void)state;
	a = arena_open(4096);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	arena_close(&a);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones),
		cmocka_unit_test(bad_ones),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(bounds),
		cmocka_unit_test(prompt),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
