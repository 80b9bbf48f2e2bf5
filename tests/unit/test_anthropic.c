/* SPDX-License-Identifier: MIT */
/*
 * The decoder of Anthropic's stream: recorded streams give their recorded
 * results however they are split and wherever they are cut; and what no
 * recording has.
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
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "decode_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct run_of api = { MODEL_API_ANTHROPIC, 0 };

/* Streams that no recording has */

#define EVENT(json) "data: " json "\n\n"
#define START                                                                  \
	EVENT("{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\","     \
	      "\"model\":\"m\",\"usage\":{\"input_tokens\":3,"                 \
	      "\"output_tokens\":1}}}")
#define OPEN(i, block)                                                         \
	EVENT("{\"type\":\"content_block_start\",\"index\":" i                 \
	      ",\"content_block\":" block "}")
#define DELTA(i, delta)                                                        \
	EVENT("{\"type\":\"content_block_delta\",\"index\":" i                 \
	      ",\"delta\":" delta "}")
#define CLOSE(i) EVENT("{\"type\":\"content_block_stop\",\"index\":" i "}")
#define TEXT(i, text)                                                          \
	DELTA(i, "{\"type\":\"text_delta\",\"text\":\"" text "\"}")
#define INPUT(i, json)                                                         \
	DELTA(i,                                                               \
	    "{\"type\":\"input_json_delta\",\"partial_json\":\"" json "\"}")
#define OPEN_TEXT(i) OPEN(i, "{\"type\":\"text\",\"text\":\"\"}")
#define OPEN_CALL(i, id)                                                       \
	OPEN(i, "{\"type\":\"tool_use\",\"id\":\"" id                          \
		"\",\"name\":\"f\",\"input\":{}}")
#define OPEN_THINKING(i)                                                       \
	OPEN(i, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":"      \
		"\"\"}")
#define STOP(reason)                                                           \
	EVENT(                                                                 \
	    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" reason \
	    "\",\"stop_sequence\":null},\"usage\":"                            \
	    "{\"output_tokens\":9}}")                                          \
	EVENT("{\"type\":\"message_stop\"}")

static void
expect_failure(
    const char *text, const char *type, const char *message, int retryable)
{
	struct run run;

	run_text(&run, api, text);
	assert_int_equal(run.rc, -1);
	assert_true(run.r->failure.failed);
	assert_string_equal(run.r->failure.type, type);
	assert_string_equal(run.r->failure.message, message);
	assert_int_equal(run.r->failure.retryable, retryable);
	assert_int_equal(run.r->complete, 0);
	assert_int_equal(run.r->stop, MODEL_STOP_ERROR);
	assert_int_equal(model_decode_feed(run.d, "x", 1, &run.err), -1);
	assert_int_equal(model_decode_finish(run.d, &run.err), -1);
	run_close(&run);
}

static void
expect_content(const char *text, const char *content)
{
	struct run run;

	run_text(&run, api, text);
	assert_int_equal(run.rc, 0);
	assert_string_equal(run.r->content.data, content);
	run_close(&run);
}

static void
test_content(void **state)
{
	(void)state;
	expect_content(
	    START OPEN_THINKING("0") DELTA(
		"0", "{\"type\":\"thinking_delta\",\"thinking\":\"hm\\n\"}")
		DELTA("0",
		    "{\"type\":\"signature_delta\",\"signature\":\"c2ln\"}")
		    CLOSE("0") OPEN_TEXT("1") CLOSE("1") OPEN_TEXT("2")
			TEXT("2", "Gr\\u00fc\\u00dfe \\ud83d\\ude00") CLOSE("2")
			    OPEN_CALL("3", "t1") INPUT("3", "")
				INPUT("3", "{\\\"a\\\":")
				    INPUT("3", " [12345678901234567890, 1.5]}")
					CLOSE("3") STOP("tool_use"),
	    "[{\"type\":\"thinking\",\"thinking\":\"hm\\n\","
	    "\"signature\":\"c2ln\"},"
	    "{\"type\":\"text\",\"text\":\"Gr\xc3\xbc\xc3\x9f"
	    "e \xf0\x9f\x98\x80\"},"
	    "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\","
	    "\"input\":{\"a\":[12345678901234567890,1.5]}}]");
}

static void
test_content_opaque(void **state)
{
	(void)state;
	expect_content(
	    START OPEN("0",
		"{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"w\","
		"\"input\":{}}") INPUT("0", "{\\\"q\\\":1}") CLOSE("0")
		OPEN("1", "{\"type\":\"new_result\",\"tool_use_id\":\"s\","
			  "\"content\":[{\"x\":null}]}") CLOSE("1")
		    OPEN("2", "{\"type\":\"text\",\"text\":\"a\",\"citations\":"
			      "[{\"n\":1}]}") DELTA("2",
			"{\"type\":\"citations_delta\",\"citation\":{\"n\":2}}")
			CLOSE("2") STOP("end_turn"),
	    "[{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"w\","
	    "\"input\":{\"q\":1}},"
	    "{\"type\":\"new_result\",\"tool_use_id\":\"s\","
	    "\"content\":[{\"x\":null}]},"
	    "{\"type\":\"text\",\"text\":\"a\",\"citations\":"
	    "[{\"n\":1},{\"n\":2}]}]");
}

/* Calls: {} for nothing, unless cut there; not an object is not valid. */
static void
test_calls(void **state)
{
	static const struct {
		const char *text;
		int runs;
		const char *input;
	} calls[] = {
		{ START OPEN_CALL("0", "t") CLOSE("0") STOP("tool_use"), 1,
		    "{}" },
		{ START OPEN_CALL("0", "t") STOP("max_tokens"), 0, "{}" },
		{ START OPEN_CALL("0", "t") CLOSE("0") OPEN_TEXT("1")
			STOP("max_tokens"),
		    1, "{}" },
		{ START OPEN_CALL("0", "t") INPUT("0", "{\\\"a\\\":1")
			STOP("max_tokens"),
		    0, "{}" },
		{ START OPEN_CALL("0", "t") INPUT("0", "[1]") STOP("tool_use"),
		    0, "{}" },
		{ START OPEN_CALL("0", "t") INPUT(
		      "0", "{\\\"a\\\":1,\\\"a\\\":2}") STOP("tool_use"),
		    0, "{}" },
		{ START OPEN("0", "{\"type\":\"tool_use\",\"id\":\"t\","
				  "\"name\":\"f\",\"input\":{\"a\":1}}")
			STOP("tool_use"),
		    1, "{\"a\":1}" },
		{ START OPEN("0", "{\"type\":\"tool_use\",\"id\":\"t\","
				  "\"name\":\"f\",\"input\":{\"a\":1}}")
			INPUT("0", "") INPUT("0", "{\\\"b\\\":2}")
			    STOP("tool_use"),
		    1, "{\"b\":2}" },
		{ START OPEN("0", "{\"type\":\"tool_use\",\"id\":\"t\","
				  "\"name\":\"f\",\"input\":null}")
			STOP("tool_use"),
		    1, "{}" },
	};
	struct run run;
	char content[200];

	(void)state;
	for (size_t i = 0; i < COUNT(calls); i++) {
		run_text(&run, api, calls[i].text);
		assert_int_equal(run.rc, 0);
		assert_int_equal(run.r->block[0].valid && !run.r->block[0].cut,
		    calls[i].runs);
		snprintf(content, sizeof(content),
		    "[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\","
		    "\"input\":%s}]",
		    calls[i].input);
		assert_string_equal(run.r->content.data, content);
		run_close(&run);
	}
}

static void
test_interleaved(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, api,
	    START OPEN_TEXT("0") OPEN_TEXT("1") TEXT("1", "b") TEXT("0", "a")
		TEXT("null", "c") CLOSE("1") CLOSE("0") STOP("end_turn"));
	assert_string_equal(run.text.data, "bac");
	assert_string_equal(run.r->content.data,
	    "[{\"type\":\"text\",\"text\":\"a\"},"
	    "{\"type\":\"text\",\"text\":\"bc\"}]");
	run_close(&run);
}

static void
test_stop_words(void **state)
{
	static const struct {
		const char *text;
		enum model_stop stop;
	} words[] = {
		{ START STOP("end_turn"), MODEL_STOP_STOP },
		{ START STOP("stop_sequence"), MODEL_STOP_STOP },
		{ START STOP("max_tokens"), MODEL_STOP_LENGTH },
		{ START STOP("model_context_window_exceeded"),
		    MODEL_STOP_LENGTH },
		{ START STOP("tool_use"), MODEL_STOP_TOOL_CALLS },
		{ START STOP("pause_turn"), MODEL_STOP_PAUSE },
		{ START STOP("refusal"), MODEL_STOP_REFUSAL },
		{ START STOP("compaction"), MODEL_STOP_OTHER },
	};
	struct run run;

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		run_text(&run, api, words[i].text);
		assert_int_equal(run.r->stop, words[i].stop);
		assert_int_equal(run.r->usage.output, 9);
		assert_int_equal(run.r->usage.input, 3);
		assert_string_equal(run.r->content.data, "[]");
		run_close(&run);
	}
}

#define ERROR(type, more)                                                      \
	EVENT("{\"type\":\"error\",\"error\":{\"type\":\"" type                \
	      "\",\"message\":\"No.\"" more "}}")

/* Synthetic: no recording has an error in mid-output. */
static void
test_error_events(void **state)
{
	static const struct {
		const char *text, *type;
		int retryable;
	} errors[] = {
		{ ERROR("overloaded_error", ""), "overloaded_error", 1 },
		{ ERROR("api_error", ""), "api_error", 1 },
		{ ERROR("rate_limit_error", ""), "rate_limit_error", 1 },
		{ ERROR("timeout_error", ""), "timeout_error", 1 },
		{ ERROR("invalid_request_error", ""), "invalid_request_error",
		    0 },
		{ ERROR("billing_error", ""), "billing_error", 0 },
		{ ERROR("rate_limit_error",
		      ",\"details\":{\"error_code\":"
		      "\"enforced_spend_limit_reached\"}"),
		    "rate_limit_error", 0 },
		{ EVENT("{\"error\":{\"code\":503,\"message\":\"No.\"}}"), "",
		    1 },
		{ "event: error\n" EVENT("{\"message\":\"No.\"}"), "", 1 },
		{ "event: error\n" EVENT("No."), "", 1 },
	};
	struct buf b;

	(void)state;
	for (size_t i = 0; i < COUNT(errors); i++) {
		buf_init(&b, NULL);
		buf_puts(&b, START OPEN_TEXT("0") TEXT("0", "a"));
		buf_puts(&b, errors[i].text);
		buf_puts(&b, STOP("end_turn"));
		expect_failure(
		    b.data, errors[i].type, "No.", errors[i].retryable);
		buf_fini(&b);
	}
}

static void
test_error_keeps_text(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, api,
	    START OPEN_TEXT("0") TEXT("0", "a") OPEN_CALL("1", "t")
		ERROR("api_error", "") TEXT("0", "b"));
	assert_string_equal(run.text.data, "a");
	assert_string_equal(
	    run.r->content.data, "[{\"type\":\"text\",\"text\":\"a\"}]");
	assert_int_equal(run.err.code, ERR_MODEL);
	assert_string_equal(run.err.text, "api_error: No.");
	run_close(&run);
}

static void
test_error_outside(void **state)
{
	(void)state;
	expect_failure(START
	    "{\n \"type\": \"error\",\n \"error\": {\n"
	    "  \"type\": \"overloaded_error\",\n  \"message\": \"No.\"\n"
	    " }\n}",
	    "overloaded_error", "No.", 1);
	expect_failure("[{\"error\":{\"code\":400,\"message\":\"No.\","
		       "\"status\":\"INVALID_ARGUMENT\"}}]",
	    "INVALID_ARGUMENT", "No.", 0);
	expect_failure("<html>\n</html>\n", "stream_cut",
	    "the stream ended without an event", 1);
	expect_failure(
	    "", "stream_cut", "the stream ended without an event", 1);
}

static void
test_cut(void **state)
{
	(void)state;
	expect_failure(START OPEN_TEXT("0") TEXT("0", "a"), "stream_cut",
	    "the stream ended before message_stop", 1);
	expect_failure(START "data: [DONE]\n\n", "stream_cut",
	    "the stream ended before message_stop", 1);
}

static void
test_bad_events(void **state)
{
	(void)state;
	expect_failure(START EVENT("{\"type\":"), "bad_event",
	    "event 2: not valid JSON: document cut short at byte 8", 1);
	expect_failure(START TEXT("0", "a"), "bad_event",
	    "a delta for a block that was not opened", 1);
	expect_failure(START OPEN("0", "null"), "bad_event",
	    "a content block has no type", 1);
	expect_failure(START OPEN_CALL("0", ""), "bad_event",
	    "a tool call has no id or no name", 1);
}

static void
test_after_the_end(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, api,
	    START OPEN_TEXT("0") TEXT("0", "a") STOP(
		"end_turn") "event: data\ndata:  [DONE] \n\n" TEXT("0", "b")
		ERROR("api_error", "") EVENT("{"));
	assert_int_equal(run.rc, 0);
	assert_int_equal(run.r->complete, 1);
	assert_int_equal(run.r->done_marker, 1);
	assert_int_equal(run.r->failure.failed, 0);
	assert_string_equal(run.text.data, "a");
	model_decode_interrupt(run.d);
	assert_int_equal(run.r->blocks, 1);
	run_close(&run);
}

static void
test_nulls(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, api,
	    EVENT("{\"type\":\"message_start\",\"message\":"
		  "{\"id\":null,\"model\":null,\"usage\":null}}")
		EVENT("{\"type\":\"message_start\",\"message\":null}") OPEN(
		    "null", "{\"type\":\"text\",\"text\":null,"
			    "\"citations\":null}") DELTA("0", "null") DELTA("0",
		    "{\"type\":null}") DELTA("0",
		    "{\"type\":\"text_delta\",\"text\":null}") TEXT("0", "a")
		    EVENT("{\"type\":\"content_block_stop\"}") EVENT(
			"{\"type\":\"message_delta\",\"delta\":null,\"usage\":"
			"{\"input_tokens\":7,\"cache_read_input_tokens\":2,"
			"\"output_tokens\":null}}")
			EVENT("{\"type\":\"message_delta\",\"delta\":{\"stop_"
			      "reason\":"
			      "null},\"usage\":{\"input_tokens\":null,"
			      "\"cache_creation_input_tokens\":4,\"output_"
			      "tokens\":-5}}")
			    EVENT("{\"type\":\"message_stop\"}"));
	assert_int_equal(run.rc, 0);
	assert_int_equal(run.r->usage.input, 13);
	assert_int_equal(run.r->usage.cached, 2);
	assert_int_equal(run.r->usage.cache_write, 4);
	assert_int_equal(run.r->usage.output, -1);
	assert_int_equal(run.r->stop, MODEL_STOP_OTHER);
	assert_string_equal(run.r->stop_raw, "");
	run_close(&run);
}

static void
test_unknown(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, api,
	    START EVENT("{\"type\":\"vibe_check\",\"x\":[1]}") EVENT(
		"{\"type\":7}") EVENT("[]") EVENT("null") EVENT("\"x\"")
		OPEN_TEXT("0") DELTA("0", "{\"type\":\"smell_delta\",\"x\":1}")
		    DELTA(
			"0", "{\"type\":\"thinking_delta\",\"thinking\":\"x\"}")
			INPUT("0", "x") TEXT("0", "a") CLOSE("5") CLOSE("0")
			    STOP("end_turn"));
	assert_int_equal(run.rc, 0);
	assert_string_equal(run.text.data, "a");
	assert_int_equal(run.thinking.len, 0);
	run_close(&run);
}

static void
test_bounds(void **state)
{
	static const struct model_bounds small = { 400, 8 };
	const char *text = START OPEN_TEXT("0") TEXT("0", "12345678");
	struct run run;

	(void)state;
	run_open(&run, api, &small);
	assert_int_equal(
	    model_decode_feed(run.d, text, strlen(text), &run.err), 0);
	text = TEXT("0", "9");
	assert_int_equal(
	    model_decode_feed(run.d, text, strlen(text), &run.err), -1);
	assert_int_equal(run.err.code, ERR_TOO_LARGE);
	assert_string_equal(run.r->failure.type, "too_large");
	assert_int_equal(run.r->failure.retryable, 0);
	assert_string_equal(
	    run.r->content.data, "[{\"type\":\"text\",\"text\":\"12345678\"}]");
	run_close(&run);
}

static void
expect_interrupted(const char *text, const char *content)
{
	struct run run;

	run_open(&run, api, &run_bounds);
	assert_int_equal(
	    model_decode_feed(run.d, text, strlen(text), &run.err), 0);
	model_decode_interrupt(run.d);
	assert_string_equal(run.r->content.data, content);
	assert_int_equal(run.r->complete, 0);
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
	expect_interrupted(
	    START OPEN_THINKING("0")
		DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}")
		    OPEN_TEXT("1") TEXT("1", "a"),
	    "[{\"type\":\"text\",\"text\":\"a\"}]");
	expect_interrupted(START OPEN_CALL("0", "t") CLOSE("0") OPEN_CALL(
			       "1", "u") INPUT("1", "{}") OPEN_CALL("2", "v")
			       INPUT("2", "{") CLOSE("2") "data: {\"ty",
	    "[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\","
	    "\"input\":{}}]");
}

/* The provider's calls only with their results. */
static void
test_interrupt_server_tool(void **state)
{
#define CALL(i, id)                                                            \
	OPEN(i, "{\"type\":\"server_tool_use\",\"id\":\"" id                   \
		"\",\"name\":\"w\",\"input\":{}}")                             \
	CLOSE(i)
	(void)state;
	expect_interrupted(START CALL("0", "s") CALL("1", "u") OPEN("2",
			       "{\"type\":\"w_result\",\"tool_use_id\":\"s\"}")
			       CLOSE("2"),
	    "[{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"w\","
	    "\"input\":{}},{\"type\":\"w_result\",\"tool_use_id\":\"s\"}]");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_content_opaque),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_stop_words),
		cmocka_unit_test(test_error_events),
		cmocka_unit_test(test_error_keeps_text),
		cmocka_unit_test(test_error_outside),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_bad_events),
		cmocka_unit_test(test_after_the_end),
		cmocka_unit_test(test_nulls),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_interrupt_server_tool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
