/* SPDX-License-Identifier: MIT */
/* The decoder of Gemini's stream: what no recording has. */
#include "config.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "decode_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct run_of api = { MODEL_API_GEMINI, 0 };

#define EVENT(json) "data: " json "\r\n\r\n"
#define PARTS(parts)                                                           \
	EVENT("{\"candidates\":[{\"content\":{\"parts\":[" parts               \
	      "],\"role\":\"model\"},\"index\":0}]}")
#define TEXT(text) "{\"text\":\"" text "\"}"
#define THOUGHT(text) "{\"text\":\"" text "\",\"thought\":true}"
#define SIGNED(text, sig)                                                      \
	"{\"text\":\"" text "\",\"thoughtSignature\":\"" sig "\"}"
#define CALL(name, args)                                                       \
	"{\"functionCall\":{\"name\":\"" name "\",\"args\":" args "}}"
#define CODE "{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"1\"}}"
#define RESULT                                                                 \
	"{\"codeExecutionResult\":{\"outcome\":\"OUTCOME_OK\",\"output\":"     \
	"\"1\"}}"
#define FINISH(reason)                                                         \
	EVENT("{\"candidates\":[{\"finishReason\":\"" reason "\"}]}")

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
test_text(void **state)
{
	(void)state;
	expect_content(PARTS(TEXT("Gr\\u00fc\xc3\x9f") "," TEXT("e"))
			   PARTS(TEXT(" \\ud83d\\ude00")) PARTS(TEXT(""))
			       FINISH("STOP"),
	    "[{\"type\":\"text\",\"text\":\"Gr\xc3\xbc\xc3\x9f"
	    "e \xf0\x9f\x98\x80\"}]");
	expect_content(PARTS(TEXT("")) FINISH("STOP"), "[]");
	expect_content(PARTS(THOUGHT("h")) PARTS(THOUGHT("m") "," TEXT("a"))
			   PARTS(TEXT("b")) PARTS(THOUGHT("o")) FINISH("STOP"),
	    "[{\"type\":\"thinking\",\"thinking\":\"hm\"},"
	    "{\"type\":\"text\",\"text\":\"ab\"},"
	    "{\"type\":\"thinking\",\"thinking\":\"o\"}]");
	expect_content(PARTS("{\"text\":\"a\",\"thought\":false}") PARTS(
			   "{\"thought\":null,\"text\":\"b\"}") FINISH("STOP"),
	    "[{\"type\":\"text\",\"text\":\"ab\"}]");
}

/* The part that is signed goes back as it came, whatever came before it. */
static void
test_signatures(void **state)
{
	(void)state;
	expect_content(PARTS(TEXT("a")) PARTS(SIGNED("", "S")) FINISH("STOP"),
	    "[{\"type\":\"text\",\"text\":\"a\"},"
	    "{\"type\":\"text\",\"text\":\"\","
	    "\"native\":{\"thoughtSignature\":\"S\"}}]");
	expect_content(PARTS(TEXT("a")) PARTS(SIGNED("b", "S")) PARTS(TEXT("c"))
			   PARTS(SIGNED("", "T")) FINISH("STOP"),
	    "[{\"type\":\"text\",\"text\":\"a\"},"
	    "{\"type\":\"text\",\"text\":\"b\","
	    "\"native\":{\"thoughtSignature\":\"S\"}},"
	    "{\"type\":\"text\",\"text\":\"c\"},"
	    "{\"type\":\"text\",\"text\":\"\","
	    "\"native\":{\"thoughtSignature\":\"T\"}}]");
	expect_content(PARTS(SIGNED("a", "S") "," SIGNED("b", "T"))
			   FINISH("STOP"),
	    "[{\"type\":\"text\",\"text\":\"a\","
	    "\"native\":{\"thoughtSignature\":\"S\"}},"
	    "{\"type\":\"text\",\"text\":\"b\","
	    "\"native\":{\"thoughtSignature\":\"T\"}}]");
	expect_content(
	    PARTS(THOUGHT("h")) PARTS("{\"thought\":true,\"text\":\"m\","
				      "\"thoughtSignature\":\"S\"}")
		PARTS("{\"thoughtSignature\":\"T\"}") FINISH("STOP"),
	    "[{\"type\":\"thinking\",\"thinking\":\"h\"},"
	    "{\"type\":\"thinking\",\"thinking\":\"m\","
	    "\"native\":{\"thoughtSignature\":\"S\"}},"
	    "{\"type\":\"text\",\"text\":\"\","
	    "\"native\":{\"thoughtSignature\":\"T\"}}]");
	expect_content(PARTS(TEXT("a")) PARTS("{\"text\":\"b\","
					      "\"thoughtSignature\":\"\"}")
			   PARTS("{\"text\":\"c\",\"thoughtSignature\":null}")
			       FINISH("STOP"),
	    "[{\"type\":\"text\",\"text\":\"abc\"}]");
}

/* For people it is one text with its signature. */
static void
test_signatures_printed(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, api,
	    PARTS(TEXT("a")) PARTS(SIGNED("b", "S")) PARTS(TEXT("c"))
		PARTS(CODE) FINISH("STOP"));
	assert_string_equal(run.text.data, "abc");
	assert_non_null(strstr(run.doc.data,
	    "\"blocks\":[{\"type\":\"text\",\"text\":\"ab\","
	    "\"thought_signature\":\"S\"},{\"type\":\"text\",\"text\":\"c\"},"
	    "{\"type\":\"executableCode\"}]"));
	assert_non_null(strstr(run.doc.data, "\"thought_signatures\":1"));
	run_close(&run);
}

static void
expect_call(const char *part, int valid, const char *content)
{
	char text[600], whole[600];
	struct run run;

	snprintf(text, sizeof(text), PARTS("%s") FINISH("STOP"), part);
	snprintf(whole, sizeof(whole), "[%s]", content);
	run_text(&run, api, text);
	assert_int_equal(run.rc, 0);
	assert_int_equal(run.r->stop, MODEL_STOP_TOOL_CALLS);
	assert_string_equal(run.r->stop_raw, "STOP");
	assert_int_equal(run.r->block[0].valid, valid);
	assert_int_equal(run.r->block[0].cut, 0);
	assert_string_equal(run.r->content.data, whole);
	run_close(&run);
}

#define USE(id, input)                                                         \
	"{\"type\":\"tool_use\",\"id\":\"" id                                  \
	"\",\"name\":\"f\",\"input\":" input

static void
test_calls(void **state)
{
	(void)state;
	expect_call(CALL("f", "{\"a\":[12345678901234567890,null]}"), 1,
	    USE("", "{\"a\":[12345678901234567890,null]}}"));
	expect_call("{\"functionCall\":{\"id\":\"x\",\"name\":\"f\"}}", 1,
	    USE("x", "{},\"native\":{\"id\":\"x\"}}"));
	expect_call("{\"functionCall\":{\"id\":null,\"name\":\"f\",\"args\":"
		    "null,\"partialArgs\":null,\"willContinue\":false}}",
	    1, USE("", "{}}"));
	expect_call("{\"thoughtSignature\":\"S\",\"thought\":true,\"new\":[1],"
		    "\"functionCall\":{\"name\":\"f\",\"args\":{},"
		    "\"id\":\"\"}}",
	    1,
	    USE("", "{},\"native\":{\"thoughtSignature\":\"S\","
		    "\"new\":[1]}}"));
	expect_call(CALL("f", "[1]"), 0, USE("", "{}}"));
	expect_call(CALL("f", "\"{}\""), 0, USE("", "{}}"));
	expect_call(CALL("f", "7"), 0, USE("", "{}}"));
}

/* It is whole, whatever the answer ended with. */
static void
test_calls_length(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, api,
	    PARTS("{\"functionCall\":{\"name\":\"f\"}}") FINISH("MAX_TOKENS"));
	assert_int_equal(run.rc, 0);
	assert_int_equal(run.r->stop, MODEL_STOP_LENGTH);
	assert_true(run.r->block[0].valid && !run.r->block[0].cut);
	run_close(&run);
}

static void
test_call_name(void **state)
{
	(void)state;
	expect_failure(PARTS("{\"functionCall\":{}}"), "bad_event",
	    "a tool call has no name", 1);
	expect_failure(PARTS("{\"functionCall\":{\"name\":7}}"), "bad_event",
	    "a tool call has no name", 1);
	expect_content(PARTS(CALL("a.b c", "{}")) FINISH("STOP"),
	    "[{\"type\":\"tool_use\",\"id\":\"\",\"name\":"
	    "\"invalid_tool_name\",\"input\":{}}]");
}

static void
test_call_partial(void **state)
{
	static const char why[] =
	    "the arguments of a call come in pieces, which nobody asked for";

	(void)state;
	expect_failure(PARTS("{\"functionCall\":{\"name\":\"f\","
			     "\"willContinue\":true}}"),
	    "bad_event", why, 1);
	expect_failure(PARTS("{\"functionCall\":{\"partialArgs\":[{"
			     "\"jsonPath\":\"$.a\",\"stringValue\":\"x\"}]}}"),
	    "bad_event", why, 1);
}

/* Calls are named for the history; what Gemini called them goes back. */
static void
call_id(void *ctx, char out[64])
{
	(void)ctx;
	snprintf(out, 64, "ours");
}

static void
test_call_id(void **state)
{
	static const struct model_sink sink = { NULL, NULL, call_id };
	static const char text[] =
	    PARTS("{\"functionCall\":{\"id\":\"theirs\",\"name\":\"f\"}}")
		FINISH("STOP");
	struct model_decode *d =
	    model_decode_new(MODEL_API_GEMINI, 0, &sink, NULL, &run_bounds);
	struct err err;

	(void)state;
	assert_int_equal(model_decode_feed(d, text, strlen(text), &err), 0);
	assert_int_equal(model_decode_finish(d, &err), 0);
	assert_string_equal(model_decode_result(d)->content.data,
	    "[" USE("ours", "{},\"native\":{\"id\":\"theirs\"}}") "]");
	model_decode_free(&d);
}

/* The provider's own parts go back whole, known or not. */
static void
test_other_parts(void **state)
{
	(void)state;
	expect_content(PARTS(CODE "," RESULT) PARTS("{}")
			   PARTS("{\"partMetadata\":{},\"new\":{\"a\":[null]},"
				 "\"thoughtSignature\":\"S\"}") PARTS(TEXT("a"))
			       FINISH("STOP"),
	    "[{\"type\":\"native\",\"native\":" CODE "},"
	    "{\"type\":\"native\",\"native\":" RESULT "},"
	    "{\"type\":\"native\",\"native\":{\"partMetadata\":{},"
	    "\"new\":{\"a\":[null]},\"thoughtSignature\":\"S\"}},"
	    "{\"type\":\"text\",\"text\":\"a\"}]");
	expect_content(PARTS("{\"text\":\"a\",\"new\":{}}") FINISH("STOP"),
	    "[{\"type\":\"text\",\"text\":\"a\"},"
	    "{\"type\":\"native\",\"native\":{\"text\":\"a\",\"new\":{}}}]");
}

static void
test_finish_words(void **state)
{
	static const struct {
		const char *word;
		enum model_stop stop;
	} words[] = {
		{ "STOP", MODEL_STOP_STOP },
		{ "MAX_TOKENS", MODEL_STOP_LENGTH },
		{ "SAFETY", MODEL_STOP_CONTENT_FILTER },
		{ "RECITATION", MODEL_STOP_CONTENT_FILTER },
		{ "BLOCKLIST", MODEL_STOP_CONTENT_FILTER },
		{ "PROHIBITED_CONTENT", MODEL_STOP_CONTENT_FILTER },
		{ "SPII", MODEL_STOP_CONTENT_FILTER },
		{ "IMAGE_SAFETY", MODEL_STOP_CONTENT_FILTER },
		{ "IMAGE_PROHIBITED_CONTENT", MODEL_STOP_CONTENT_FILTER },
		{ "IMAGE_RECITATION", MODEL_STOP_CONTENT_FILTER },
		{ "MALFORMED_FUNCTION_CALL", MODEL_STOP_ERROR },
		{ "UNEXPECTED_TOOL_CALL", MODEL_STOP_ERROR },
		{ "TOO_MANY_TOOL_CALLS", MODEL_STOP_ERROR },
		{ "LANGUAGE", MODEL_STOP_OTHER },
		{ "OTHER", MODEL_STOP_OTHER },
		{ "NO_IMAGE", MODEL_STOP_OTHER },
		{ "CONTINUATION", MODEL_STOP_OTHER },
		{ "A_NEW_ONE", MODEL_STOP_OTHER },
	};
	struct run run;
	char text[200];

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		snprintf(text, sizeof(text), PARTS(TEXT("a")) FINISH("%s"),
		    words[i].word);
		run_text(&run, api, text);
		assert_int_equal(run.rc, 0);
		assert_int_equal(run.r->complete, 1);
		assert_int_equal(run.r->stop, words[i].stop);
		assert_string_equal(run.r->stop_raw, words[i].word);
		assert_int_equal(run.r->failure.failed, 0);
		run_close(&run);
	}
}

/* The last one is its own, and a call may come behind it. */
static void
test_finish_again(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, api,
	    PARTS(TEXT("a")) FINISH("STOP") PARTS(TEXT("b"))
		FINISH("MAX_TOKENS"));
	assert_int_equal(run.rc, 0);
	assert_int_equal(run.r->stop, MODEL_STOP_LENGTH);
	assert_string_equal(run.text.data, "ab");
	assert_non_null(strstr(
	    run.doc.data, "\"finish_reasons_seen\":[\"STOP\",\"MAX_TOKENS\"]"));
	run_close(&run);
	run_text(&run, api, FINISH("STOP") PARTS(CALL("f", "{}")));
	assert_int_equal(run.rc, 0);
	assert_int_equal(run.r->stop, MODEL_STOP_TOOL_CALLS);
	run_close(&run);
	run_text(
	    &run, api, PARTS(CALL("f", "{}")) FINISH("STOP") FINISH("SAFETY"));
	assert_int_equal(run.r->stop, MODEL_STOP_CONTENT_FILTER);
	run_close(&run);
}

static void
test_many_reasons(void **state)
{
	struct run run;
	struct buf text;

	(void)state;
	buf_init(&text, NULL);
	for (int i = 0; i < 1000; i++)
		buf_puts(&text, FINISH("STOP"));
	run_stream(&run, api, text.data, text.len, 100, NULL);
	assert_int_equal(run.rc, 0);
	assert_int_equal(
	    json_check(run.doc.data, run.doc.len, JSON_DEPTH_MAX, NULL), 0);
	run_close(&run);
	buf_fini(&text);
}

static void
test_prompt_blocked(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, api,
	    EVENT("{\"promptFeedback\":{\"blockReason\":\"MODEL_ARMOR\"},"
		  "\"candidates\":null}"));
	assert_int_equal(run.rc, 0);
	assert_int_equal(run.r->stop, MODEL_STOP_CONTENT_FILTER);
	assert_string_equal(run.r->stop_raw, "promptFeedback:MODEL_ARMOR");
	assert_string_equal(run.r->content.data, "[]");
	run_close(&run);
	run_text(&run, api,
	    EVENT("{\"promptFeedback\":{\"blockReason\":\"0123456789"
		  "0123456789012345678901234567890123456\xc3\xbc\xc3\xbc\"}}"));
	assert_int_equal(run.rc, 0);
	assert_int_equal(
	    json_utf8_whole(run.r->stop_raw, strlen(run.r->stop_raw)),
	    strlen(run.r->stop_raw));
	run_close(&run);
	expect_failure(EVENT("{\"promptFeedback\":{\"blockReason\":null}}"),
	    "stream_cut", "the stream ended before a finish reason", 1);
}

#define USAGE(members) EVENT("{\"usageMetadata\":{" members "}}")

static void
expect_usage(const char *text, const struct model_usage *u)
{
	struct run run;

	run_text(&run, api, text);
	assert_int_equal(run.r->usage.input, u->input);
	assert_int_equal(run.r->usage.output, u->output);
	assert_int_equal(run.r->usage.cached, u->cached);
	assert_int_equal(run.r->usage.cache_write, u->cache_write);
	assert_int_equal(run.r->usage.reasoning, u->reasoning);
	run_close(&run);
}

static void
test_usage(void **state)
{
	static const struct model_usage none = { -1, -1, -1, -1, -1 };
	static const struct model_usage all = { 17, 9, 3, 0, 4 };
	static const struct model_usage prompt = { 7, 0, 0, 0, -1 };
	static const struct model_usage framed = { 7, 13, 0, 0, 5 };

	(void)state;
	expect_usage(FINISH("STOP"), &none);
	expect_usage(USAGE("") FINISH("STOP"), &none);
	expect_usage(EVENT("{\"usageMetadata\":null}") FINISH("STOP"), &none);
	expect_usage(EVENT("{\"usageMetadata\":[7]}") FINISH("STOP"), &none);
	expect_usage(USAGE("\"promptTokenCount\":7,\"candidatesTokenCount\":"
			   "null,\"thoughtsTokenCount\":-1,"
			   "\"cachedContentTokenCount\":\"3\""),
	    &prompt);
	expect_usage(USAGE("\"promptTokenCount\":1")
			 USAGE("\"promptTokenCount\":7,"
			       "\"toolUsePromptTokenCount\":10,"
			       "\"cachedContentTokenCount\":3")
			     USAGE("\"candidatesTokenCount\":5,"
				   "\"thoughtsTokenCount\":4,"
				   "\"promptTokenCount\":null"),
	    &all);
	/* The last of events that are told without a parser counts. */
#define COUNTED(text, n)                                                       \
	EVENT("{\"candidates\":[{\"content\":{\"parts\":[" TEXT(               \
	    text) "]}}],"                                                      \
		  "\"usageMetadata\":{\"promptTokenCount\":7,"                 \
		  "\"candidatesTokenCount\":" n ",\"thoughtsTokenCount\":5}}")
	expect_usage(COUNTED("a", "1") COUNTED("b", "2")
			 COUNTED("c\\n", "9999999999999") COUNTED("d", "8"),
	    &framed);
}

/* Events that are told without a parser take back what came between. */
static void
test_alike_usage(void **state)
{
	static const struct model_usage prompt = { 7, 7, 0, 0, 5 };
	struct run run;

	(void)state;
	expect_usage(COUNTED("a", "1") USAGE("\"promptTokenCount\":8")
			 COUNTED("b", "2"),
	    &prompt);
	run_text(&run, api,
	    COUNTED("a", "1") EVENT("{\"usageMetadata\":{\"x\":1}}")
		COUNTED("b", "2") COUNTED("c", "3"));
	assert_non_null(strstr(run.doc.data,
	    "\"usage_raw\":{\"x\":1,\"promptTokenCount\":7,"
	    "\"candidatesTokenCount\":3,\"thoughtsTokenCount\":5}"));
	run_close(&run);
}

/* Events like the one before join its text only where the next part would. */
static void
test_alike(void **state)
{
	(void)state;
	expect_content(PARTS(TEXT("a")) PARTS(TEXT("b")) PARTS(SIGNED("", "S"))
			   PARTS(TEXT("c")) PARTS(TEXT("d\\n")) PARTS(
			       THOUGHT("e")) PARTS(TEXT("f")) PARTS(CODE)
			       PARTS(TEXT("g")) PARTS(TEXT("h")) FINISH("STOP"),
	    "[{\"type\":\"text\",\"text\":\"ab\"},"
	    "{\"type\":\"text\",\"text\":\"\","
	    "\"native\":{\"thoughtSignature\":\"S\"}},"
	    "{\"type\":\"text\",\"text\":\"cd\\n\"},"
	    "{\"type\":\"thinking\",\"thinking\":\"e\"},"
	    "{\"type\":\"text\",\"text\":\"f\"},"
	    "{\"type\":\"native\",\"native\":" CODE "},"
	    "{\"type\":\"text\",\"text\":\"gh\"}]");
}

/* Anything may be null or absent; what is not known is ignored. */
static void
test_nulls(void **state)
{
	(void)state;
	expect_content(
	    EVENT("{}") EVENT("null") EVENT("7") EVENT("\"x\"") EVENT("[]")
		EVENT("[null]") EVENT("{\"error\":null}") EVENT(
		    "{\"candidates\":null,\"usageMetadata\":null,"
		    "\"modelVersion\":null,\"responseId\":null,"
		    "\"promptFeedback\":null}") EVENT("{\"candidates\":[]}")
		    EVENT("{\"candidates\":[null]}")
			EVENT("{\"candidates\":[{\"content\":null,"
			      "\"finishReason\":null,"
			      "\"finishMessage\":null}]}")
			    EVENT("{\"candidates\":[{\"content\":{"
				  "\"parts\":null}}]}")
				PARTS("null,{},{\"text\":null,"
				      "\"functionCall\":null,"
				      "\"thoughtSignature\":null},"
				      "{\"thought\":true}")
				    EVENT("{\"new\":[{}],"
					  "\"modelVersion\":7,"
					  "\"responseId\":[],"
					  "\"promptFeedback\":7}") FINISH("")
					PARTS(TEXT("a")) FINISH("STOP"),
	    "[{\"type\":\"text\",\"text\":\"a\"}]");
	/* Some gateways put events into an array. */
	expect_content(
	    EVENT("[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":"
		  "\"a\"}]}}]},{\"candidates\":[{\"content\":{\"parts\":["
		  "{\"text\":\"b\"}]},\"finishReason\":\"STOP\"}]}]"),
	    "[{\"type\":\"text\",\"text\":\"ab\"}]");
}

static void
test_wrong_types(void **state)
{
	static const char *const events[][2] = {
		{ EVENT("{\"candidates\":{}}"), "candidates" },
		{ EVENT("{\"candidates\":\"x\"}"), "candidates" },
		{ EVENT("{\"candidates\":[{\"content\":\"x\"}]}"), "content" },
		{ EVENT("{\"candidates\":[{\"content\":[]}]}"), "content" },
		{ EVENT("{\"candidates\":[{\"content\":{\"parts\":{}}}]}"),
		    "parts" },
		{ PARTS("{\"text\":7}"), "text" },
		{ PARTS("{\"text\":{\"text\":\"a\"}}"), "text" },
		{ PARTS("{\"functionCall\":\"f\"}"), "functionCall" },
	};
	char message[100];

	(void)state;
	for (size_t i = 0; i < COUNT(events); i++) {
		snprintf(message, sizeof(message),
		    "%s is not of its type in the event", events[i][1]);
		expect_failure(events[i][0], "bad_event", message, 1);
	}
	expect_failure(EVENT("{\"candidates\":[\"x\"]}"), "bad_event",
	    "a candidate is no object", 1);
	expect_failure(PARTS("\"x\""), "bad_event", "a part is no object", 1);
}

static void
test_errors(void **state)
{
	(void)state;
	expect_failure(EVENT("{\"error\":{\"code\":503,\"message\":\"Busy.\","
			     "\"status\":\"UNAVAILABLE\"}}"),
	    "UNAVAILABLE", "Busy.", 1);
	expect_failure(EVENT("[{\"error\":{\"code\":429,\"message\":\"No.\","
			     "\"status\":\"RESOURCE_EXHAUSTED\"}}]"),
	    "RESOURCE_EXHAUSTED", "No.", 1);
	expect_failure(EVENT("{\"error\":{\"code\":400,\"message\":\"No.\","
			     "\"status\":\"INVALID_ARGUMENT\",\"details\":"
			     "null}}"),
	    "INVALID_ARGUMENT", "No.", 0);
	expect_failure("event: error\r\n" EVENT(
			   "{\"message\":\"No.\",\"status\":\"INTERNAL\"}"),
	    "INTERNAL", "No.", 1);
	expect_failure(PARTS(TEXT("a")) "[{\n  \"error\": {\n"
					"    \"code\": 500,\n"
					"    \"message\": \"No.\",\n"
					"    \"status\": \"INTERNAL\"\n  }\n}\n"
					"]\n",
	    "INTERNAL", "No.", 1);
}

/* What was shown stays, and so does the reason that came before. */
static void
test_error_after_finish(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, api,
	    PARTS(TEXT("a")) FINISH("STOP")
		EVENT("{\"error\":{\"code\":500,\"message\":\"No.\"}}"));
	assert_int_equal(run.rc, -1);
	assert_true(run.r->failure.said && run.r->failure.retryable);
	assert_int_equal(run.r->failure.outside, 0);
	assert_int_equal(run.r->complete, 1);
	assert_int_equal(run.r->stop, MODEL_STOP_STOP);
	assert_string_equal(
	    run.r->content.data, "[{\"type\":\"text\",\"text\":\"a\"}]");
	run_close(&run);
}

static void
test_cut(void **state)
{
	static const char before[] = "the stream ended before a finish reason";

	(void)state;
	expect_failure(
	    "", "stream_cut", "the stream ended without an event", 1);
	expect_failure(PARTS(TEXT("a")), "stream_cut", before, 1);
	expect_failure(
	    PARTS(TEXT("a")) "data: {\"candid", "stream_cut", before, 1);
	expect_failure(PARTS(CALL("f", "{}")), "stream_cut", before, 1);
}

static void
test_bounds(void **state)
{
	static const struct model_bounds small = { 400, 60 };
	static const char *const over[] = {
		PARTS(TEXT("1234567")),
		PARTS(SIGNED("", "0123456789")),
		PARTS("{\"thoughtSignature\":\"S\",\"new\":{}}"),
		PARTS(CALL("f", "{\"a\":1}")),
	};
	const char *text = PARTS(
	    TEXT("1234567890123456789012345678901234567890123456789012345"));
	struct run run;

	(void)state;
	for (size_t i = 0; i < COUNT(over); i++) {
		run_open(&run, api, &small);
		assert_int_equal(
		    model_decode_feed(run.d, text, strlen(text), &run.err), 0);
		assert_int_equal(model_decode_feed(
				     run.d, over[i], strlen(over[i]), &run.err),
		    -1);
		assert_int_equal(run.err.code, ERR_TOO_LARGE);
		assert_string_equal(run.r->failure.type, "too_large");
		assert_int_equal(run.r->failure.retryable, 0);
		run_close(&run);
	}
}

static void
test_long_names(void **state)
{
	char name[200], text[500];
	struct run run;

	(void)state;
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), PARTS(CALL("%s", "{}")), name);
	expect_failure(text, "bad_event", "an id or a name is too long", 1);
	snprintf(text, sizeof(text),
	    PARTS("{\"functionCall\":{\"name\":\"f\",\"id\":\"%s\"}}"), name);
	expect_failure(text, "bad_event", "an id or a name is too long", 1);
	/* Words for people are cut. */
	snprintf(text, sizeof(text), PARTS("{\"%.80s\":{}}") FINISH("%.80s"),
	    name, name);
	run_text(&run, api, text);
	assert_int_equal(run.rc, 0);
	assert_int_equal(strlen(run.r->block[0].type), 63);
	assert_int_equal(strlen(run.r->stop_raw), 63);
	assert_int_equal(run.r->blocks, 1);
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
	assert_int_equal(run.r->failure.failed, 0);
	assert_int_equal(model_decode_feed(run.d, "x", 1, &run.err), -1);
	assert_int_equal(run.err.code, ERR_CANCELLED);
	run_close(&run);
}

static void
test_interrupt(void **state)
{
	(void)state;
	expect_interrupted("", "[]");
	expect_interrupted(PARTS(THOUGHT("h")) PARTS(TEXT("a")) "data: {\"c",
	    "[{\"type\":\"thinking\",\"thinking\":\"h\"},"
	    "{\"type\":\"text\",\"text\":\"a\"}]");
	expect_interrupted(
	    PARTS(CALL("f", "{}") "," CALL("f", "[]")), "[" USE("", "{}}") "]");
	/* Its own tools' calls only with their results. */
	expect_interrupted(PARTS(CODE "," RESULT "," CODE),
	    "[{\"type\":\"native\",\"native\":" CODE "},"
	    "{\"type\":\"native\",\"native\":" RESULT "}]");
	expect_interrupted(PARTS("{\"toolCall\":{\"id\":\"a\"}},"
				 "{\"toolCall\":{\"id\":\"b\"}},"
				 "{\"toolResponse\":{\"id\":\"b\"}}")
			       FINISH("STOP"),
	    "[{\"type\":\"native\",\"native\":{\"toolCall\":{\"id\":\"b\"}}},"
	    "{\"type\":\"native\",\"native\":{\"toolResponse\":{\"id\":"
	    "\"b\"}}}]");
}

static void
test_recorded_errors(void **state)
{
	struct model_failure f;
	struct buf body;
	glob_t g;

	(void)state;
	glob_or_skip("errors/gemini/*.json", 0, &g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		const char *name = strrchr(g.gl_pathv[i], '/') + 1;
		struct model_reply reply = { .status = atoi(name) };

		file_read(&body, g.gl_pathv[i]);
		reply.body = body.data;
		reply.len = body.len;
		model_error_decode(&reply, &f);
		assert_int_equal(f.retryable, 0);
		assert_true(strlen(f.message) > 10);
		assert_true(strspn(f.type, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") > 5);
		buf_fini(&body);
	}
	globfree(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_signatures_printed),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_calls_length),
		cmocka_unit_test(test_call_name),
		cmocka_unit_test(test_call_partial),
		cmocka_unit_test(test_call_id),
		cmocka_unit_test(test_other_parts),
		cmocka_unit_test(test_finish_words),
		cmocka_unit_test(test_finish_again),
		cmocka_unit_test(test_many_reasons),
		cmocka_unit_test(test_prompt_blocked),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_alike_usage),
		cmocka_unit_test(test_alike),
		cmocka_unit_test(test_nulls),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_error_after_finish),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_recorded_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
