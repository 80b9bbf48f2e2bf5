/* SPDX-License-Identifier: MIT */
/* tool/permit: what is allowed, denied or asked about, in which order. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "tool/permit.h"

static struct arena *a;

static const struct json *
parse(const char *text)
{
	const struct json *j = json_parse(a, text, strlen(text), 16, NULL);

	assert_non_null(j);
	return j;
}

struct row {
	const char *permission;
	const char *tool;
	enum tool_effect effect;
	const char *args;
	enum permit_decision decision;
};

#define RULE(d, p)                                                             \
	"{\"tool\":\"shell\",\"argument\":\"command\",\"pattern\":\"" p        \
	"\",\"decision\":\"" d "\"}"
#define RULES(mode, list) "{\"mode\":\"" mode "\",\"rules\":[" list "]}"
#define COMMAND(c) "{\"command\":\"" c "\"}"

static const struct row rows[] = {
	{ "{}", "x", TOOL_WRITES, "{}", PERMIT_ALLOW },
	{ "{\"mode\":\"auto\"}", "x", TOOL_UNKNOWN, "{}", PERMIT_ALLOW },
	{ "{\"mode\":\"approval\"}", "x", TOOL_READS, "{}", PERMIT_ASK },
	{ "{\"mode\":\"readonly\"}", "x", TOOL_READS, "{}", PERMIT_ALLOW },
	{ "{\"mode\":\"readonly\"}", "x", TOOL_WRITES, "{}", PERMIT_DENY },
	{ "{\"mode\":\"readonly\"}", "x", TOOL_UNKNOWN, "{}", PERMIT_ASK },
	{ "{\"denyTools\":[\"x\"],\"allowTools\":[\"x\"]}", "x", TOOL_READS,
	    "{}", PERMIT_DENY },
	{ "{\"allowTools\":[\"y\"]}", "x", TOOL_READS, "{}", PERMIT_DENY },
	{ "{\"allowTools\":[]}", "x", TOOL_READS, "{}", PERMIT_ALLOW },
	{ "{\"allowTools\":[\"m__*\"]}", "m__x", TOOL_READS, "{}",
	    PERMIT_ALLOW },
	{ "{\"requireApprovalTools\":[\"x\"]}", "x", TOOL_READS, "{}",
	    PERMIT_ASK },
	{ RULES("approval", RULE("allow", "git status*")), "shell", TOOL_WRITES,
	    COMMAND("git status -s"), PERMIT_ALLOW },
	{ RULES("approval", RULE("allow", "git status*")), "shell", TOOL_WRITES,
	    COMMAND("git push"), PERMIT_ASK },
	{ RULES("approval", RULE("allow", "git status*")), "shell", TOOL_WRITES,
	    COMMAND("git status; rm -rf /"), PERMIT_ASK },
	{ RULES("approval", RULE("allow", "git status*")), "shell", TOOL_WRITES,
	    COMMAND("git status\\nrm -rf /"), PERMIT_ASK },
	{ RULES("approval", RULE("allow", "git status*")), "shell", TOOL_WRITES,
	    COMMAND("git status $(rm -rf /)"), PERMIT_ASK },
	{ RULES("approval", RULE("allow", "*")), "shell", TOOL_WRITES,
	    COMMAND("a && b"), PERMIT_ASK },
	{ RULES("approval", RULE("allow", "cat * | wc -l")), "shell",
	    TOOL_WRITES, COMMAND("cat x | wc -l"), PERMIT_ALLOW },
	{ RULES("auto", RULE("deny", "rm *")), "shell", TOOL_WRITES,
	    COMMAND("rm -rf /"), PERMIT_DENY },
	{ RULES("auto", RULE("deny", "rm *")), "shell", TOOL_WRITES,
	    COMMAND("ls;  rm -rf / "), PERMIT_DENY },
	{ RULES("auto", RULE("deny", "rm *")), "shell", TOOL_WRITES,
	    COMMAND("echo `rm -rf /`"), PERMIT_DENY },
	{ RULES("auto", RULE("deny", "rm *")), "shell", TOOL_WRITES,
	    COMMAND("farm x"), PERMIT_ALLOW },
	{ RULES("auto", RULE("ask", "git push*")), "shell", TOOL_WRITES,
	    COMMAND("git add . && git push"), PERMIT_ASK },
	{ RULES("auto", RULE("allow", "rm x") "," RULE("ask", "rm *") "," RULE(
			    "deny", "rm y")),
	    "shell", TOOL_WRITES, COMMAND("rm x"), PERMIT_ASK },
	{ RULES("auto", RULE("deny", "rm *")), "shell", TOOL_WRITES,
	    "{\"command\":[\"ls\",\"rm -r x\"]}", PERMIT_DENY },
	{ RULES("approval", RULE("allow", "ls*")), "shell", TOOL_WRITES,
	    "{\"command\":[\"ls\",\"rm -r x\"]}", PERMIT_ASK },
	{ RULES("approval", RULE("allow", "ls*")), "shell", TOOL_WRITES,
	    "{\"command\":[\"ls\",\"ls x\"]}", PERMIT_ALLOW },
	{ RULES("approval", RULE("allow", "*")), "shell", TOOL_WRITES,
	    "{\"command\":[]}", PERMIT_ASK },
	{ RULES("approval", RULE("allow", "*")), "shell", TOOL_WRITES,
	    "{\"command\":[\"ls\",7]}", PERMIT_ASK },
	{ RULES("auto", RULE("deny", "rm *")), "other", TOOL_WRITES,
	    COMMAND("rm x"), PERMIT_ALLOW },
	{ RULES("readonly", RULE("allow", "*")), "shell", TOOL_WRITES,
	    COMMAND("ls"), PERMIT_DENY },
	{ RULES("readonly", RULE("allow", "*")), "shell", TOOL_UNKNOWN,
	    COMMAND("ls"), PERMIT_ASK },
	{ "{\"requireApprovalTools\":[\"shell\"],\"rules\":[" RULE(
	      "allow", "ls*") "]}",
	    "shell", TOOL_WRITES, COMMAND("ls -l"), PERMIT_ALLOW },
	{ "{\"denyTools\":[\"shell\"],\"rules\":[" RULE("allow", "ls*") "]}",
	    "shell", TOOL_WRITES, COMMAND("ls -l"), PERMIT_DENY },
};

static void
test_evaluate(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct permit *p =
		    permit_parse(a, parse(rows[i].permission), NULL);
		struct permit_call c = { rows[i].tool, rows[i].effect,
			parse(rows[i].args) };
		struct permit_answer got;

		assert_non_null(p);
		got = permit_evaluate(p, &c);
		if (got.decision != rows[i].decision)
			fail_msg(
			    "row %zu: %d, %s", i, got.decision, got.reason);
	}
}

static void
test_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "[]", "permission is an object" },
		{ "{\"mode\":\"yolo\"}", "auto, approval or readonly" },
		{ "{\"mode\":null}", "auto, approval or readonly" },
		{ "{\"allowTool\":[]}", "no member \"allowTool\"" },
		{ "{\"allowTools\":\"x\"}", "allowTools is a list" },
		{ "{\"denyTools\":[1]}", "denyTools has something" },
		{ "{\"rules\":[{\"tool\":\"x\"}]}", "a rule of" },
		{ RULES("auto", RULE("maybe", "x")), "allow, deny or ask" },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(permit_parse(a, parse(bad[i].text), &err));
		assert_int_equal(err.code, ERR_INVALID);
		assert_non_null(strstr(err.text, bad[i].says));
	}
	assert_non_null(permit_parse(a, NULL, NULL));
	assert_non_null(permit_parse(a, parse("null"), NULL));
}

static void
test_advertised(void **state)
{
	struct permit *p = permit_parse(a,
	    parse("{\"mode\":\"readonly\",\"denyTools\":[\"d*\"],"
		  "\"allowTools\":[\"a\",\"d\",\"w\"]}"),
	    NULL);

	(void)state;
	assert_true(permit_advertised(p, "a", TOOL_READS));
	assert_true(permit_advertised(p, "a", TOOL_UNKNOWN));
	assert_false(permit_advertised(p, "d", TOOL_READS));
	assert_false(permit_advertised(p, "w", TOOL_WRITES));
	assert_false(permit_advertised(p, "z", TOOL_READS));
}

static void
test_glob(void **state)
{
	static const struct {
		const char *pattern, *s;
		int match;
	} globs[] = {
		{ "", "", 1 },
		{ "", "a", 0 },
		{ "*", "", 1 },
		{ "a*c", "abbc", 1 },
		{ "a*c", "abbcd", 0 },
		{ "*b*c", "abbbc", 1 },
		{ "a?c", "abc", 1 },
		{ "a?c", "ac", 0 },
		{ "[a-c]x", "bx", 1 },
		{ "[!a-c]x", "bx", 0 },
		{ "[!a-c]x", "dx", 1 },
		{ "[]]", "]", 1 },
		{ "[", "[", 1 },
		{ "a\\*", "a*", 1 },
		{ "a\\*", "ab", 0 },
		{ "\\", "\\", 1 },
		{ "[a-", "[a-", 1 },
	};
	char many[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(globs) / sizeof(globs[0]); i++)
		if (permit_glob(globs[i].pattern, globs[i].s) != globs[i].match)
			fail_msg("%s %s", globs[i].pattern, globs[i].s);
	/* would not end in a life with backtracking */
	memset(many, 'a', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	assert_false(permit_glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", many));
}

static int
setup(void **state)
{
	(void)state;
	a = arena_open(65536);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_close(&a);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_evaluate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_advertised, setup, teardown),
		cmocka_unit_test_setup_teardown(test_glob, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
