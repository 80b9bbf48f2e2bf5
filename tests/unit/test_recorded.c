/* SPDX-License-Identifier: MIT */
/*
 * Recorded streams of all providers give their recorded results however they
 * are split and wherever they are cut.
 */
#include "config.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "decode_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

typedef void case_f(struct run_of of, const char *path, const struct buf *sse,
    const struct json *expected);

/* Servers that leave what they think in the text, between tags. */
static unsigned
quirks_of(const char *path)
{
	(void)path;
	return 0;
}

static void
case_run(const char *path, case_f *fn, size_t *ran)
{
	struct arena *a = arena_open(65536);
	const struct json *expected;
	struct buf sse, doc;
	char other[1024];
	struct run_of of;

	snprintf(other, sizeof(other), "%.*s.expect.json",
	    (int)strlen(path) - 4, path);
	file_read(&sse, path);
	file_read(&doc, other);
	expected = json_parse(a, doc.data, doc.len, 64, NULL);
	assert_non_null(expected);
	of.api = model_api_find(json_get_str(expected, "api"));
	of.quirks = quirks_of(path);
	if (of.api < MODEL_APIS) {
		fn(of, path, &sse, expected);
		(*ran)++;
	}
	buf_fini(&sse);
	buf_fini(&doc);
	arena_close(&a);
}

/* Calls fn for each recorded stream. */
static void
cases_run(case_f *fn)
{
	size_t ran = 0;
	glob_t g;

	glob_or_skip("*/*.sse", 0, &g);
	for (size_t i = 0; i < g.gl_pathc; i++)
		case_run(g.gl_pathv[i], fn, &ran);
	globfree(&g);
	print_message("%zu recorded streams\n", ran);
	assert_true(ran >= 139);
}

static void
expect_document(
    const char *path, const struct run *run, const struct json *expected)
{
	static const char *const members[] = { "api", "model", "response_id",
		"text", "thinking", "refusal", "blocks", "tool_calls", "usage",
		"usage_raw", "stop_reason", "stop_reason_raw", "stop_sequence",
		"error", "complete", "done_marker", "events",
		"unterminated_tail", "other_choices" };
	struct arena *a = arena_open(65536);
	struct json *doc = json_parse(a, run->doc.data, run->doc.len, 64, NULL);

	assert_non_null(doc);
	assert_non_null(expected);
	for (size_t i = 0; i < COUNT(members); i++)
		if (!json_equal(json_get(expected, members[i]),
			json_get(doc, members[i])))
			fail_msg("%s: %s differs: %s", path, members[i],
			    run->doc.data);
	if (*json_get_str(doc, "refusal") == '\0')
		assert_string_equal(
		    buf_str(&run->text), json_get_str(doc, "text"));
	assert_string_equal(
	    buf_str(&run->thinking), json_get_str(doc, "thinking"));
	run_content(a, run);
	arena_close(&a);
}

static void
expect_split(struct run_of of, const char *path, const struct buf *sse,
    const struct json *expected, size_t step, unsigned *seed)
{
	struct run run;

	run_stream(&run, of, sse->data, sse->len, step, seed);
	expect_document(path, &run, expected);
	assert_int_equal(
	    run.rc, run.r->complete && !run.r->failure.said ? 0 : -1);
	run_close(&run);
}

static void
case_whole(struct run_of of, const char *path, const struct buf *sse,
    const struct json *expected)
{
	expect_split(of, path, sse, expected, sse->len, NULL);
}

static void
case_bytes(struct run_of of, const char *path, const struct buf *sse,
    const struct json *expected)
{
	expect_split(of, path, sse, expected, 1, NULL);
}

/* A text without tags is the same with the quirk that looks for them. */
static void
case_tags(struct run_of of, const char *path, const struct buf *sse,
    const struct json *expected)
{
	static unsigned seed = 1;
	const char *text = json_get_str(expected, "text");

	of.quirks |= MODEL_QUIRK_THINK_TAGS;
	if (strstr(text, "<think>") == NULL && strstr(text, "</think>") == NULL)
		expect_split(of, path, sse, expected, 0, &seed);
}

static void
case_random(struct run_of of, const char *path, const struct buf *sse,
    const struct json *expected)
{
	static unsigned seed;

	if (seed == 0) {
		seed = (unsigned)time(NULL);
		print_message("seed %u\n", seed);
	}
	for (int i = 0; i < 8; i++)
		expect_split(of, path, sse, expected, 0, &seed);
}

/* A cut costs what is before it: of large streams some places must do. */
static size_t
cut_step(const struct buf *sse, size_t step)
{
	return step + (sse->len / 16384) * (sse->len / 1024);
}

/* Wherever the stream ends: whole or failed, and what was shown is true. */
static void
case_cut(struct run_of of, const char *path, const struct buf *sse,
    const struct json *expected)
{
	const char *text = json_get_str(expected, "text");
	const char *refusal = json_get_str(expected, "refusal");
	int was_complete = 0, ok;
	struct run run;

	for (size_t len = 0; len < sse->len; len += cut_step(sse, 1)) {
		run_open(&run, of, &run_bounds);
		model_decode_feed(run.d, sse->data, len, &run.err);
		run.rc = model_decode_finish(run.d, &run.err);
		ok = run.r->complete && !run.r->failure.said;
		assert_int_equal(run.rc, ok ? 0 : -1);
		assert_int_equal(run.r->failure.failed, !ok);
		if (was_complete && !run.r->complete)
			fail_msg("%s: not whole at %zu", path, len);
		was_complete = run.r->complete;
		assert_true(
		    strncmp(text, buf_str(&run.text), run.text.len) == 0 ||
		    *refusal != '\0');
		assert_int_equal(json_check(run.r->content.data,
				     run.r->content.len, JSON_DEPTH_MAX, NULL),
		    0);
		run_close(&run);
	}
}

/* Where somebody stops it: what is kept could be sent to Anthropic. */
static void
case_interrupt(struct run_of of, const char *path, const struct buf *sse,
    const struct json *expected)
{
	struct arena *a = arena_open(65536);
	const struct json *b;
	struct run run;

	(void)path;
	(void)expected;
	for (size_t len = 0; len < sse->len; len += cut_step(sse, 7)) {
		run_open(&run, of, &run_bounds);
		model_decode_feed(run.d, sse->data, len, &run.err);
		model_decode_interrupt(run.d);
		b = json_first(run_content(a, &run));
		for (; b != NULL; b = json_next(b))
			if (of.api == MODEL_API_ANTHROPIC &&
			    strcmp(json_get_str(b, "type"), "thinking") == 0)
				assert_non_null(json_get_str(b, "signature"));
		run_close(&run);
		arena_reset(a);
	}
	arena_close(&a);
}

static void
test_recorded_whole(void **state)
{
	(void)state;
	cases_run(case_whole);
}

static void
test_recorded_bytes(void **state)
{
	(void)state;
	cases_run(case_bytes);
}

static void
test_recorded_random(void **state)
{
	(void)state;
	cases_run(case_random);
}

static void
test_recorded_tags(void **state)
{
	(void)state;
	cases_run(case_tags);
}

static void
test_recorded_cut(void **state)
{
	(void)state;
	cases_run(case_cut);
}

static void
test_recorded_interrupt(void **state)
{
	(void)state;
	cases_run(case_interrupt);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded_whole),
		cmocka_unit_test(test_recorded_bytes),
		cmocka_unit_test(test_recorded_random),
		cmocka_unit_test(test_recorded_tags),
		cmocka_unit_test(test_recorded_cut),
		cmocka_unit_test(test_recorded_interrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
