/* SPDX-License-Identifier: MIT */
/*
 * How answers of the Chat Completions stream fail: errors in every place that
 * a dialect has for them, cuts, events that make no sense, bounds, and those
 * whom somebody stops.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "chat_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define ERROR_OF(more) "{\"message\":\"No.\"" more "}"

/* Synthetic: no recording has an error in mid-output. */
static void
test_error_events(void **state)
{
	static const struct {
		const char *text, *type;
		int retryable;
	} errors[] = {
		{ EVENT("{\"error\":" ERROR_OF(
		      ",\"type\":\"server_error\",\"code\":null") "}"),
		    "server_error", 1 },
		{ EVENT("{\"error\":" ERROR_OF(",\"type\":\"BadRequestError\","
					       "\"code\":400") "}"),
		    "BadRequestError", 0 },
		{ EVENT("{\"error\":" ERROR_OF(",\"type\":\"tokens\",\"code\":"
					       "\"rate_limit_exceeded\"") "}"),
		    "tokens", 1 },
		{ EVENT("{\"error\":" ERROR_OF(
		      ",\"code\":\"insufficient_quota\"") "}"),
		    "insufficient_quota", 0 },
		{ "event: error\n" EVENT("{\"error\":" ERROR_OF(
		      ",\"code\":\"tool_use_failed\"") "}"),
		    "tool_use_failed", 1 },
		{ "event: error\n" EVENT(ERROR_OF("")), "", 1 },
		{ EVENT("{\"error\":" ERROR_OF("") ",\"status_code\":503}"), "",
		    1 },
		{ EVENT("{\"error\":\"No.\"}"), "", 1 },
		{ EVENT("{\"code\":\"c\",\"error\":\"No.\"}"), "c", 1 },
		{ EVENT(ERROR_OF(",\"type\":\"t\",\"code\":\"c\"")), "t", 1 },
		{ EVENT(ERROR_OF(",\"object\":\"error\",\"code\":500")), "",
		    1 },
		{ EVENT("{\"detail\":\"No.\"}"), "", 1 },
		{ EVENT("[{\"error\":" ERROR_OF(",\"code\":503") "}]"), "", 1 },
		{ EVENT("{\"choices\":[],\"x_groq\":{\"error\":\"No.\"}}"), "",
		    1 },
		{ EVENT("{\"id\":\"c1\",\"error\":" ERROR_OF(
		      ",\"code\":502") ",\"choices\":[{\"index\":0,\"delta\":{"
				       "\"content\":\"\"},"
				       "\"finish_reason\":\"error\"}]}"),
		    "", 1 },
		{ CHUNK("{\"index\":0,\"finish_reason\":\"error\","
			"\"error\":" ERROR_OF(",\"code\":502") "}"),
		    "", 1 },
		{ EVENT("{\"error\":true,\"message\":\"No.\"}"), "", 1 },
	};
	struct buf b;

	(void)state;
	for (size_t i = 0; i < COUNT(errors); i++) {
		buf_init(&b, NULL);
		buf_puts(&b, TEXT("a") TEXT("b"));
		buf_puts(&b, errors[i].text);
		buf_puts(&b, STOP);
		chat_expect_failure(
		    b.data, errors[i].type, "No.", errors[i].retryable);
		buf_fini(&b);
	}
}

static void
test_errors_without_words(void **state)
{
	(void)state;
	chat_expect_failure(
	    EVENT("{\"error\":{}}"), "", "the provider did not say why", 1);
	chat_expect_failure(TEXT("a") FINISH("error"), "error",
	    "the provider ended the answer with finish_reason \"error\"", 1);
	chat_expect_failure(FINISH("insufficient_system_resource") DONE,
	    "insufficient_system_resource",
	    "the provider ended the answer with finish_reason "
	    "\"insufficient_system_resource\"",
	    1);
}

/* Not everything that is called an error is one. */
static void
test_no_errors(void **state)
{
	(void)state;
	chat_expect(
	    EVENT("{\"error\":null,\"choices\":[]}") EVENT(
		"{\"error\":\"\",\"x_groq\":{\"id\":\"r\",\"error\":"
		"null}}") EVENT("{\"error\":false}")
		EVENT("{\"error\":0,\"choices\":null}")
		    EVENT("{\"choices\":[],\"message\":\"m\",\"code\":1}")
			EVENT("{\"message\":{\"code\":1},\"type\":\"t\"}")
			    EVENT("{\"message\":\"m\",\"id\":\"c1\"}")
				CHUNK("{\"index\":0,\"error\":null,\"delta\":"
				      "{\"content\":\"a\"}}") STOP,
	    "[" OF_TEXT("a") "]");
}

/* Outside of the events: old llama.cpp, and a body that is no stream. */
static void
test_error_outside(void **state)
{
	(void)state;
	chat_expect_failure(TEXT("a") "error: {\"error\":{\"code\":500,"
				      "\"message\":\"No.\"}}\n\n",
	    "", "No.", 1);
	chat_expect_failure(
	    TEXT("a") "error: {\"code\":500,\"message\":\"No.\"}\n\n",
	    "stream_cut", "the stream ended before a finish_reason", 1);
	chat_expect_failure(
	    "{\"error\":{\"type\":\"t\",\"message\":\"No.\"}}", "t", "No.", 1);
}

static void
test_error_after_finish(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, chat_api,
	    TEXT("a") FINISH("stop") EVENT("{\"error\":\"No.\"}"));
	assert_int_equal(run.rc, -1);
	assert_int_equal(run.r->complete, 1);
	assert_string_equal(run.r->content.data, "[" OF_TEXT("a") "]");
	run_close(&run);
}

static void
test_cut(void **state)
{
	static const char before[] = "the stream ended before a finish_reason";

	(void)state;
	chat_expect_failure(
	    "", "stream_cut", "the stream ended without an event", 1);
	chat_expect_failure(TEXT("a"), "stream_cut", before, 1);
	chat_expect_failure(TEXT("a") DONE, "stream_cut", before, 1);
	chat_expect_failure(TEXT("a") FINISH(""), "stream_cut", before, 1);
	chat_expect_failure(
	    TEXT("a") "data: {\"choices\":[{", "stream_cut", before, 1);
	/* Whole, whatever the line ends and however the stream does. */
	chat_expect(TEXT("a") FINISH("stop"), "[" OF_TEXT("a") "]");
	chat_expect("data:{\"choices\":[{\"delta\":{\"content\":\"a\"},"
		    "\"finish_reason\":\"stop\"}]}",
	    "[" OF_TEXT("a") "]");
}

/* What is known and makes no sense fails, so that nothing is lost. */
static void
test_bad_events(void **state)
{
	static const char *const events[] = {
		"data: {\"choices\":[}\n\n",
		EVENT("{\"choices\":{}}"),
		EVENT("{\"choices\":[7]}"),
		EVENT("{\"choices\":[{\"delta\":\"a\"}]}"),
		DELTA("\"content\":7"),
		DELTA("\"content\":[7]"),
		DELTA("\"content\":{\"text\":true}"),
		DELTA("\"reasoning\":false"),
		DELTA("\"refusal\":7"),
		DELTA("\"tool_calls\":{}"),
		DELTA("\"tool_calls\":\"f\""),
		CALLS("7"),
		CALLS("{\"function\":\"f\"}"),
		WITH("7"),
		WITH("[1]"),
		WITH("\"{}\"") WITH("{}"),
	};
	struct run run;

	(void)state;
	for (size_t i = 0; i < COUNT(events); i++) {
		run_text(&run, chat_api, events[i]);
		if (run.rc != -1 ||
		    strcmp(run.r->failure.type, "bad_event") != 0)
			fail_msg("%s", events[i]);
		assert_int_equal(run.r->failure.retryable, 1);
		run_close(&run);
	}
}

/* ---- bounds and interrupts ---- */

static void
expect_too_large(
    const struct model_bounds *bounds, const char *text, const char *content)
{
	struct run run;

	run_open(&run, chat_tags, bounds);
	run.rc = model_decode_feed(run.d, text, strlen(text), &run.err);
	if (run.rc == 0)
		run.rc = model_decode_finish(run.d, &run.err);
	assert_int_equal(run.rc, -1);
	assert_int_equal(run.err.code, ERR_TOO_LARGE);
	assert_string_equal(run.r->failure.type, "too_large");
	assert_int_equal(run.r->failure.retryable, 0);
	assert_string_equal(run.r->content.data, content);
	run_close(&run);
}

static void
test_bounds(void **state)
{
	static const struct model_bounds small = { 4096, 8 };
	static const struct model_bounds event = { 60, 4096 };

	(void)state;
	expect_too_large(
	    &small, TEXT("12345678") TEXT("9"), "[" OF_TEXT("12345678") "]");
	expect_too_large(
	    &small, TEXT("12345678<") STOP, "[" OF_TEXT("12345678") "]");
	expect_too_large(
	    &small, THINK("1234") TEXT("56789"), "[" OF_THINKING("1234") "]");
	expect_too_large(&small, CALL("0", "t", "f", "{\\\"a\\\":100}"), "[]");
	expect_too_large(&small, WITH("{\"a\":10000}"), "[]");
	expect_too_large(&small, DETAILS("null", ENCRYPTED("e")), "[]");
	expect_too_large(&small,
	    CALLS("{\"id\":\"t\",\"extra_content\":{\"a\":10000}}"), "[]");
	expect_too_large(&event, TEXT("a"), "[]");
}

#define LONG "0123456789012345678901234567890123456789"

static void
test_long_names(void **state)
{
	(void)state;
	chat_expect_failure(CALL("0", LONG LONG LONG LONG, "f", ""),
	    "bad_event", "an id or a name is too long", 1);
	chat_expect_failure(CALL("0", "t", LONG LONG LONG LONG, ""),
	    "bad_event", "an id or a name is too long", 1);
	chat_expect(EVENT("{\"id\":\"" LONG LONG LONG LONG
			  "\",\"model\":\"" LONG LONG LONG LONG "\"}")
			FINISH(LONG LONG),
	    "[]");
}

static void
test_many(void **state)
{
	struct run run;
	struct buf b;

	(void)state;
	buf_init(&b, NULL);
	for (int i = 0; i < 6000; i++)
		buf_printf(&b,
		    "data: {\"choices\":[{\"index\":%d,\"delta\":{\"content\":"
		    "\"x\",\"tool_calls\":[{\"index\":%d,\"id\":\"t\"}]}}]}"
		    "\n\n",
		    i < 3000 ? i : 0, i);
	buf_puts(&b, STOP);
	run_text(&run, chat_api, b.data);
	assert_int_equal(run.rc, -1);
	assert_string_equal(run.r->failure.type, "too_large");
	run_close(&run);
	buf_fini(&b);
}

static void
expect_interrupted(const char *text, const char *content)
{
	struct run run;

	run_open(&run, chat_api, &run_bounds);
	assert_int_equal(
	    model_decode_feed(run.d, text, strlen(text), &run.err), 0);
	model_decode_interrupt(run.d);
	assert_string_equal(run.r->content.data, content);
	assert_int_equal(run.r->failure.failed, 0);
	assert_int_equal(model_decode_feed(run.d, "x", 1, &run.err), -1);
	assert_int_equal(run.err.code, ERR_CANCELLED);
	assert_int_equal(model_decode_finish(run.d, &run.err), -1);
	run_close(&run);
}

static void
test_interrupt(void **state)
{
	(void)state;
	expect_interrupted("", "[]");
	expect_interrupted(THINK("hm") TEXT("a") "data: {\"cho",
	    "[" OF_THINKING("hm") "," OF_TEXT("a") "]");
	/* An open call, and one that does not parse, are left out. */
	expect_interrupted(CALL("0", "t", "f", "") CALL("1", "u", "f", "{")
			       CALL("2", "v", "f", "{}"),
	    "[" OF_CALL("t", "f", "{}") "]");
	/* One that goes on is open again. */
	expect_interrupted(CALL("0", "t", "f", "{}") CALL("1", "u", "f", "")
			       ARGS("0", " "),
	    "[]");
	expect_interrupted(CALL("0", "t", "f", "{}") FINISH("tool_calls"),
	    "[" OF_CALL("t", "f", "{}") "]");
	/* The signature of what is thought comes last. */
	expect_interrupted(DETAILS("\"a\"", PIECE("\"text\":\"a\"")),
	    "[" OF_THINKING("a") "]");
	expect_interrupted(
	    DETAILS("\"a\"", PIECE("\"text\":\"a\",\"signature\":\"s\""))
		TEXT("b"),
	    "[{\"type\":\"thinking\",\"thinking\":\"a\",\"native\":"
	    "{\"reasoning_details\":[{\"type\":\"reasoning.text\",\"index\":0,"
	    "\"format\":\"f\",\"signature\":\"s\",\"text\":\"a\"}]}}," OF_TEXT(
		"b") "]");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_events),
		cmocka_unit_test(test_errors_without_words),
		cmocka_unit_test(test_no_errors),
		cmocka_unit_test(test_error_outside),
		cmocka_unit_test(test_error_after_finish),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_bad_events),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_interrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
