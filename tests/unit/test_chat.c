/* SPDX-License-Identifier: MIT */
/*
 * The decoder of the Chat Completions stream: what no recording has. The
 * dialects' streams here are synthetic, after what spec/providers.md says.
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

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "chat_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Blocks follow each other as their kinds change. */
static void
test_blocks(void **state)
{
	(void)state;
	chat_expect(
	    DELTA("\"role\":\"assistant\",\"content\":\"\"") THINK("hm\\n")
		THINK(" so") TEXT("Gr\\u00fc") TEXT("\\u00dfe") THINK("ah")
		    CALL("0", "t", "f", "") ARGS("0", "{\\\"a\\\":")
			ARGS("0", " [12345678901234567890]}") TEXT("end") STOP,
	    "[" OF_THINKING("hm\\n so") "," OF_TEXT(
		"Gr\xc3\xbc\xc3\x9f"
		"e") "," OF_THINKING("ah") "," OF_CALL("t", "f",
		"{\"a\":[12345678901234567890]}") "," OF_TEXT("end") "]");
	chat_expect(STOP, "[]");
	chat_expect(DELTA("\"refusal\":\"No\"") DELTA("\"refusal\":\".\"") STOP,
	    "[{\"type\":\"text\",\"text\":\"No.\",\"refusal\":true}]");
}

/* The first of the places that says something, never two. */
static void
test_reasoning(void **state)
{
	static const char *const deltas[] = {
		"\"reasoning_content\":\"a\"",
		"\"reasoning\":\"a\"",
		"\"reasoning\":\"a\",\"reasoning_content\":\"a\"",
		"\"reasoning\":\"a\",\"reasoning_content\":null",
		"\"reasoning\":\"a\",\"reasoning_content\":\"\"",
		"\"reasoning\":null,\"reasoning_content\":\"a\"",
		"\"reasoning\":\"a\",\"content\":\"\"",
		"\"reasoning\":\"a\",\"content\":null,\"channel\":\"analysis\"",
	};
	char text[600];

	(void)state;
	for (size_t i = 0; i < COUNT(deltas); i++) {
		snprintf(text, sizeof(text),
		    EVENT("{\"choices\":[{\"delta\":{%s}}]}") TEXT("b") STOP,
		    deltas[i]);
		chat_expect(text, "[" OF_THINKING("a") "," OF_TEXT("b") "]");
	}
}

/* They go back as they came, with the pieces of a text put together. */
static void
test_details(void **state)
{
	(void)state;
	chat_expect(
	    DETAILS("\"a\"", PIECE("\"text\":\"a\",\"signature\":null,\"x\":1"))
		DETAILS("\"b\\n\"", PIECE("\"text\":\"b\\n\",\"x\":2"))
		    DETAILS("null", PIECE("\"signature\":\"s\""))
			DETAILS("null", ENCRYPTED("e1") "," ENCRYPTED("e2"))
			    TEXT("c") STOP,
	    "[{\"type\":\"thinking\",\"thinking\":\"ab\\n\",\"native\":"
	    "{\"reasoning_details\":["
	    "{\"type\":\"reasoning.text\",\"index\":0,\"format\":\"f\","
	    "\"x\":1,\"signature\":\"s\",\"text\":\"ab\\n\"}," ENCRYPTED(
		"e1") "," ENCRYPTED("e2") "]}}," OF_TEXT("c") "]");
	chat_expect(
	    DETAILS("null", "{\"type\":\"reasoning.summary\",\"index\":1,"
			    "\"summary\":\"a\"}")
		DETAILS("\"\"", "null,7,{\"type\":\"reasoning.summary\","
				"\"index\":2,\"summary\":\"b\"}") STOP,
	    "[{\"type\":\"thinking\",\"thinking\":\"ab\",\"native\":"
	    "{\"reasoning_details\":["
	    "{\"type\":\"reasoning.summary\",\"index\":1,\"summary\":\"a\"},"
	    "{\"type\":\"reasoning.summary\",\"index\":2,\"summary\":\"b\"}"
	    "]}}]");
}

/* Without thinking, with what else there is. */
static void
test_details_alone(void **state)
{
	(void)state;
	chat_expect(DETAILS("null", ENCRYPTED("e")) TEXT("a") STOP,
	    "[{\"type\":\"text\",\"text\":\"a\",\"native\":"
	    "{\"reasoning_details\":[" ENCRYPTED("e") "]}}]");
	chat_expect(
	    DETAILS("null", ENCRYPTED("e"))
		CALLS("{\"index\":0,\"id\":\"t\",\"function\":{\"name\":\"f\"},"
		      "\"extra_content\":{\"google\":{\"s\":1}}}") STOP,
	    "[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{},"
	    "\"native\":{\"extra_content\":{\"google\":{\"s\":1}},"
	    "\"reasoning_details\":[" ENCRYPTED("e") "]}}]");
	chat_expect(DETAILS("null", ENCRYPTED("e")) STOP, "[]");
}

/* Mistral: content as a list of typed parts. */
static void
test_parts(void **state)
{
	(void)state;
	chat_expect(
	    DELTA("\"content\":[{\"type\":\"thinking\",\"thinking\":["
		  "{\"type\":\"text\",\"text\":\"a\"},"
		  "{\"type\":\"reference\",\"reference_ids\":[1]}]}]")
		DELTA("\"content\":[{\"type\":\"thinking\",\"thinking\":"
		      "\"b\"},{\"type\":\"text\",\"text\":\"c\"}]") TEXT("d")
		    DELTA("\"content\":[]") DELTA(
			"\"content\":[null,\"e\",{},{\"type\":\"refusal\","
			"\"refusal\":\"f\"},{\"type\":\"thinking\"}]")
			DELTA("\"content\":{\"type\":\"text\","
			      "\"text\":\"g\"}") STOP,
	    "[" OF_THINKING("ab") "," OF_TEXT(
		"cde") ",{\"type\":\"text\",\"text\":\"f\",\"refusal\":true}"
		       "," OF_TEXT("g") "]");
}

/* How the pieces of calls find each other. */
static void
test_calls(void **state)
{
	static const struct {
		const char *text, *content;
	} rows[] = {
		/* Side by side. */
		{ CALL("0", "t", "f", "") CALL("1", "u", "g", "{")
			ARGS("0", "{}") ARGS("1", "}") STOP,
		    "[" OF_CALL("t", "f", "{}") "," OF_CALL(
			"u", "g", "{}") "]" },
		/* Qwen, vLLM: no id or name after the first. */
		{ CALL("0", "t", "f", "") CALL("0", "", "", "{\\\"a\\\"")
			CALLS("{\"index\":0,\"id\":null,\"type\":null,"
			      "\"function\":{\"name\":null,"
			      "\"arguments\":\":1}\"}}")
			    CALLS("{\"index\":0,\"function\":{"
				  "\"arguments\":null}}") STOP,
		    "[" OF_CALL("t", "f", "{\"a\":1}") "]" },
		/* Ollama: all have the index 0. */
		{ CALL("0", "t", "f", "{\\\"a\\\":1}") CALL(
		      "0", "u", "f", "{\\\"a\\\":2}") ARGS("0", " ") STOP,
		    "[" OF_CALL("t", "f", "{\"a\":1}") "," OF_CALL(
			"u", "f", "{\"a\":2}") "]" },
		{ CALL("0", "t", "f", "{") CALL("0", "u", "g", "{")
			CALL("0", "t", "", "}") CALL("0", "u", "g", "}") STOP,
		    "[" OF_CALL("t", "f", "{}") "," OF_CALL(
			"u", "g", "{}") "]" },
		/* An id that changes is no new call. */
		{ CALL("0", "t", "f", "{") CALL("0", "u", "", "}") STOP,
		    "[" OF_CALL("t", "f", "{}") "]" },
		/* No index: the position. */
		{ CALLS("{\"id\":\"t\",\"function\":{\"name\":\"f\","
			"\"arguments\":\"{}\"}},{\"id\":\"u\",\"function\":"
			"{\"name\":\"g\",\"arguments\":\"{\"}}")
			CALLS("null,{\"function\":{\"arguments\":\"}\"}}") STOP,
		    "[" OF_CALL("t", "f", "{}") "," OF_CALL(
			"u", "g", "{}") "]" },
		{ CALLS("{\"id\":\"t\",\"function\":{\"name\":\"f\"}}") CALLS(
		      "{\"id\":\"u\",\"function\":{\"name\":\"g\"}}") STOP,
		    "[" OF_CALL("t", "f", "{}") "," OF_CALL(
			"u", "g", "{}") "]" },
		/* The name, then the id; the arguments first. */
		{ ARGS("3", "{}") CALL("3", "", "f", "") CALL("3", "t", "", "")
			STOP,
		    "[" OF_CALL("t", "f", "{}") "]" },
		/* Nothing is no call. */
		{ ARGS("0", "") CALLS("{},null,{\"function\":null}") DELTA(
		      "\"tool_calls\":null") DELTA("\"tool_calls\":[]") STOP,
		    "[]" },
		/* No id: the history gives one. No name: no tool has it. */
		{ CALL("0", "", "f", "{}") STOP,
		    "[" OF_CALL("", "f", "{}") "]" },
		{ CALL("0", "t", "", "{}") STOP,
		    "[" OF_CALL("t", "invalid_tool_name", "{}") "]" },
		/* Before there were tools. */
		{ DELTA("\"function_call\":{\"name\":\"f\",\"arguments\":"
			"\"{\"}") DELTA("\"function_call\":{\"arguments\":"
					"\"}\"}") FINISH("function_call"),
		    "[" OF_CALL("", "f", "{}") "]" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		chat_expect(rows[i].text, rows[i].content);
}

/* What the arguments may be, and which of them run. */
static void
test_arguments(void **state)
{
	static const struct {
		const char *text, *input;
		int valid, cut, parsed;
	} rows[] = {
		{ WITH("\"\"") STOP, "{}", 1, 0, 0 },
		{ WITH("\"\"") FINISH("length"), "{}", 1, 1, 0 },
		{ WITH("null") FINISH("length"), "{}", 1, 1, 0 },
		{ WITH("\"null\"") STOP, "{}", 1, 0, 0 },
		{ WITH("\"{\\\"a\\\":1\"") FINISH("length"), "{}", 0, 0, 0 },
		{ WITH("\"{\\\"a\\\":1\"") STOP, "{}", 0, 0, 0 },
		{ WITH("\"[1]\"") STOP, "{}", 0, 0, 0 },
		{ WITH("\"{\\\"a\\\":1,\\\"a\\\":2}\"") STOP, "{}", 0, 0, 0 },
		{ WITH("{\"a\":[1,null]}") STOP, "{\"a\":[1,null]}", 1, 0, 1 },
		{ WITH("{}") STOP, "{}", 1, 0, 1 },
		{ WITH("\"\"") WITH("{\"a\":1}") STOP, "{\"a\":1}", 1, 0, 1 },
		{ WITH("{}") WITH("\"x\"") STOP, "{}", 0, 0, 1 },
	};
	const struct model_block *b;
	struct run run;
	char content[200];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		run_text(&run, chat_api, rows[i].text);
		assert_int_equal(run.rc, 0);
		b = &run.r->block[0];
		assert_int_equal(b->valid, rows[i].valid);
		assert_int_equal(b->cut, rows[i].cut);
		assert_int_equal(b->parsed, rows[i].parsed);
		snprintf(content, sizeof(content),
		    "[" OF_CALL("t", "f", "%s") "]", rows[i].input);
		assert_string_equal(run.r->content.data, content);
		run_close(&run);
	}
}

/* The text that a turn takes. */
static void
test_block_input(void **state)
{
	static const struct {
		const char *text, *input;
	} rows[] = {
		{ WITH("\"\"") STOP, "{}" },
		{ WITH("\" null\"") STOP, "{}" },
		{ WITH("\" {}\"") STOP, " {}" },
		{ WITH("\"[1]\"") STOP, "[1]" },
		{ WITH("\"\"") FINISH("length"), "" },
	};
	const char *input;
	struct run run;
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		run_text(&run, chat_api, rows[i].text);
		input = model_block_input(&run.r->block[0], &len);
		assert_int_equal(len, strlen(rows[i].input));
		assert_string_equal(input, rows[i].input);
		run_close(&run);
	}
}

static void
test_stop_words(void **state)
{
	static const struct {
		const char *text, *raw;
		enum model_stop stop;
	} rows[] = {
		{ FINISH("stop"), "stop", MODEL_STOP_STOP },
		{ FINISH("length"), "length", MODEL_STOP_LENGTH },
		{ FINISH("model_length"), "model_length", MODEL_STOP_LENGTH },
		{ FINISH("tool_calls"), "tool_calls", MODEL_STOP_TOOL_CALLS },
		{ FINISH("function_call"), "function_call",
		    MODEL_STOP_TOOL_CALLS },
		{ FINISH("content_filter"), "content_filter",
		    MODEL_STOP_CONTENT_FILTER },
		{ FINISH("abort"), "abort", MODEL_STOP_OTHER },
		{ CALL("0", "t", "f", "{}") FINISH("stop"), "stop",
		    MODEL_STOP_TOOL_CALLS },
		{ FINISH("stop") CALL("0", "t", "f", "{}"), "stop",
		    MODEL_STOP_TOOL_CALLS },
		{ CALL("0", "t", "f", "{}") FINISH("length"), "length",
		    MODEL_STOP_LENGTH },
		{ FINISH("") FINISH("tool_calls") FINISH("stop") FINISH(""),
		    "stop", MODEL_STOP_STOP },
	};
	struct run run;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		run_text(&run, chat_api, rows[i].text);
		assert_int_equal(run.rc, 0);
		assert_int_equal(run.r->complete, 1);
		assert_int_equal(run.r->stop, rows[i].stop);
		assert_string_equal(run.r->stop_raw, rows[i].raw);
		run_close(&run);
	}
}

/* Numbers in all the places, which replace each other. */
static void
test_usage(void **state)
{
#define USAGE(in, out)                                                         \
	"\"usage\":{\"prompt_tokens\":" in ",\"completion_tokens\":" out       \
	",\"prompt_tokens_details\":{\"cached_tokens\":2,"                     \
	"\"cache_write_tokens\":3},\"completion_tokens_details\":"             \
	"{\"reasoning_tokens\":4}}"
	static const struct {
		const char *text;
		struct model_usage u;
	} rows[] = {
		{ STOP, { -1, -1, -1, -1, -1 } },
		{ FINISH("stop") EVENT("{\"choices\":[]," USAGE("7", "9") "}"),
		    { 7, 9, 2, 3, 4 } },
		{ EVENT("{\"choices\":[{\"finish_reason\":\"stop\"}]," USAGE(
		      "7", "9") "}"),
		    { 7, 9, 2, 3, 4 } },
		{ EVENT("{\"choices\":[{\"finish_reason\":\"stop\"}],"
			"\"usage\":null,\"x_groq\":{" USAGE("7", "9") "}}"),
		    { 7, 9, 2, 3, 4 } },
		{ EVENT("{\"choices\":[{\"finish_reason\":\"stop\"," USAGE(
		      "7", "9") "}]}"),
		    { 7, 9, 2, 3, 4 } },
		{ EVENT("{" USAGE("1", "1") "}") EVENT("{" USAGE("7", "9") "}")
			FINISH("stop") EVENT("{\"usage\":null}")
			    EVENT("{\"usage\":{\"prompt_tokens\":null}}"),
		    { 7, 9, 2, 3, 4 } },
		{ FINISH("stop") EVENT("{\"usage\":{\"prompt_tokens\":7,"
				       "\"completion_tokens\":9,"
				       "\"prompt_tokens_details\":null,"
				       "\"prompt_cache_hit_tokens\":5}}"),
		    { 7, 9, 5, 0, -1 } },
		{ FINISH("stop") EVENT("{\"usage\":{\"prompt_tokens\":7,"
				       "\"completion_tokens\":9,"
				       "\"prompt_tokens_details\":{"
				       "\"cache_creation_input_tokens\":6}}}"),
		    { 7, 9, 0, 6, -1 } },
		{ FINISH("stop") EVENT("{\"usage\":[7]}")
			EVENT("{\"usage\":{\"prompt_tokens\":-1,"
			      "\"completion_tokens\":\"9\"}}"),
		    { -1, -1, 0, 0, -1 } },
	};
	struct run run;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		run_text(&run, chat_api, rows[i].text);
		assert_int_equal(run.rc, 0);
		assert_memory_equal(
		    &run.r->usage, &rows[i].u, sizeof(rows[i].u));
		run_close(&run);
	}
}

/* Null or nothing everywhere; other types where nothing hangs on it. */
static void
test_nulls(void **state)
{
	(void)state;
	chat_expect(
	    EVENT("null") EVENT("7") EVENT("\"a\"") EVENT("[]") EVENT(
		"{}") EVENT("{\"choices\":null,\"usage\":null,\"id\":null,"
			    "\"model\":null,\"x_groq\":null,\"object\":null}")
		EVENT("{\"choices\":[null,{},{\"index\":null,"
		      "\"delta\":null,\"finish_reason\":null}],"
		      "\"usage\":7,\"id\":7,\"model\":[],\"x_groq\":\"\"}")
		    DELTA("\"role\":null,\"content\":null,"
			  "\"refusal\":null,\"reasoning\":null,"
			  "\"reasoning_content\":null,"
			  "\"reasoning_details\":null,"
			  "\"tool_calls\":null,\"function_call\":null")
			DELTA("\"reasoning_details\":7,"
			      "\"function_call\":\"auto\"")
			    CALLS("{\"index\":\"0\",\"id\":7,\"type\":[],"
				  "\"function\":{\"name\":7}}") TEXT("a")
				CHUNK("{\"index\":0,\"finish_reason\":7}") STOP,
	    "[" OF_TEXT("a") "]");
}

static void
test_unknown(void **state)
{
	(void)state;
	chat_expect(": keep-alive\n\n" EVENT(
			"{\"choices\":[],\"id\":\"\","
			"\"model\":\"\",\"prompt_filter_results\":"
			"[{}]}") "event: ping\n" EVENT("{\"type\":\"ping\"}")
			DELTA("\"content\":\"a\",\"audio\":{},\"images\":[7],"
			      "\"annotations\":[{}]")
			    EVENT("{\"choices\":[],\"new\":{\"x\":[]}}") STOP,
	    "[" OF_TEXT("a") "]");
}

static void
test_head(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, chat_api,
	    EVENT("{\"id\":\"\",\"model\":\"\",\"choices\":[]}") EVENT(
		"{\"id\":\"c1\",\"model\":\"m\",\"choices\":[],"
		"\"x_groq\":{\"id\":\"req_1\"}}")
		EVENT("{\"id\":\"c2\",\"model\":\"n\",\"choices\":[]}") STOP);
	assert_string_equal(run.r->response_id, "c1");
	assert_string_equal(run.r->model, "m");
	assert_string_equal(run.r->request_id, "req_1");
	assert_int_equal(run.r->done_marker, 1);
	assert_int_equal(run.r->events, 5);
	run_close(&run);
}

/* Only the first choice is the answer, in whichever place it comes. */
static void
test_choices(void **state)
{
#define OTHER(i, text) "{\"index\":" i ",\"delta\":{\"content\":\"" text "\"}}"
	struct arena *a = arena_open(4096);
	const struct json *others;
	struct run run;

	(void)state;
	run_text(&run, chat_api,
	    CHUNK(OTHER("1", "x") "," OTHER("0", "a")) CHUNK(OTHER("1", "y"))
		CHUNK(OTHER("0", "b")) CHUNK(OTHER("2", "z"))
		    CHUNK("{\"index\":1,\"finish_reason\":\"length\"}")
			FINISH("stop"));
	assert_int_equal(run.rc, 0);
	assert_string_equal(run.text.data, "ab");
	assert_string_equal(run.r->content.data, "[" OF_TEXT("ab") "]");
	assert_int_equal(run.r->stop, MODEL_STOP_STOP);
	others = json_get(json_parse(a, run.doc.data, run.doc.len, 64, NULL),
	    "other_choices");
	assert_int_equal(json_count(others), 2);
	assert_string_equal(json_get_str(json_get(others, "1"), "text"), "xy");
	assert_string_equal(
	    json_get_str(json_get(others, "1"), "finish_reason"), "length");
	assert_string_equal(json_get_str(json_get(others, "2"), "text"), "z");
	assert_null(json_get_str(json_get(others, "2"), "finish_reason"));
	run_close(&run);
	arena_close(&a);
	/* Another's end is not the answer's. */
	chat_expect_failure(
	    TEXT("a") CHUNK("{\"index\":1,\"finish_reason\":\"stop\"}"),
	    "stream_cut", "the stream ended before a finish_reason", 1);
}

static void
test_after_the_end(void **state)
{
	struct run run;

	(void)state;
	chat_expect(TEXT("a") FINISH("stop") TEXT("b") DONE TEXT("c") TEXT("d")
			EVENT("{\"error\":\"No.\"}") EVENT("{"),
	    "[" OF_TEXT("ab") "]");
	run_text(&run, chat_api, TEXT("a") TEXT("b") STOP TEXT("c"));
	assert_string_equal(run.text.data, "ab");
	assert_int_equal(run.r->events, 5);
	run_close(&run);
}

/* Events told without a parser are the same answer. */
static void
test_frames(void **state)
{
#define PADDED(member, text, pad)                                              \
	EVENT("{\"choices\":[{\"index\":0,\"delta\":{\"" member "\":\"" text   \
	      "\"},\"finish_reason\":null}],\"obfuscation\":\"" pad "\"}")
	(void)state;
	chat_expect(
	    PADDED("content", "a", "x") PADDED("content", "b", "xyz")
		PADDED("content", "\\n", "") PADDED("content", "c", "")
		    PADDED("reasoning", "d", "") PADDED("reasoning", "e", "1")
			PADDED("content", "f", "") PADDED("refusal", "g", "22")
			    PADDED("refusal", "h", "") PADDED("reasoning",
				"\\t", "") PADDED("content", "i", "z") STOP,
	    "[" OF_TEXT("ab\\nc") "," OF_THINKING("de") "," OF_TEXT(
		"f") ",{\"type\":\"text\",\"text\":\"gh\",\"refusal\":true}"
		     "," OF_THINKING("\\t") "," OF_TEXT("i") "]");
	/* Usage in each: none is passed over. */
	chat_expect(
	    EVENT("{\"choices\":[{\"delta\":{\"content\":\"a\"}}]," USAGE(
		"7", "1") "}")
		EVENT("{\"choices\":[{\"delta\":{\"content\":\"b\"}}]," USAGE(
		    "7", "2") "}") STOP,
	    "[" OF_TEXT("ab") "]");
}

/* ---- tags ---- */

static const struct {
	const char *text, *content;
} tagged[] = {
	{ "a", "[" OF_TEXT("a") "]" },
	{ "a < b <think> c", "[" OF_TEXT("a < b <think> c") "]" },
	{ "<think>a</think>b", "[" OF_THINKING("a") "," OF_TEXT("b") "]" },
	{ " \\n<think>\\n a b\\n</think>\\n\\n b\\n",
	    "[" OF_THINKING("a b\\n") "," OF_TEXT("b\\n") "]" },
	{ "<think>\\n\\n</think>\\n\\nb", "[" OF_TEXT("b") "]" },
	{ "<think></think>", "[]" },
	{ "</think>b", "[" OF_TEXT("b") "]" },
	{ "a b</think>\\nc", "[" OF_THINKING("a b") "," OF_TEXT("c") "]" },
	{ "a<</think>c", "[" OF_THINKING("a<") "," OF_TEXT("c") "]" },
	{ "a</thin</think>c", "[" OF_THINKING("a</thin") "," OF_TEXT("c") "]" },
	{ "<think>a", "[" OF_THINKING("a") "]" },
	{ "<think>a</thi", "[" OF_THINKING("a</thi") "]" },
	{ "<thi", "[" OF_TEXT("<thi") "]" },
	{ "a</thi", "[" OF_TEXT("a</thi") "]" },
	{ "<thing>", "[" OF_TEXT("<thing>") "]" },
	{ "<<think>", "[" OF_TEXT("<<think>") "]" },
	{ "<think>a</think>b</think><think>c</think>",
	    "[" OF_THINKING("a") "," OF_TEXT("b</think><think>c</think>") "]" },
	{ "<think>a<think>b</think>c",
	    "[" OF_THINKING("a<think>b") "," OF_TEXT("c") "]" },
	{ " \\n", "[" OF_TEXT(" \\n") "]" },
	{ " \\n<a", "[" OF_TEXT(" \\n<a") "]" },
	{ "                                  a",
	    "[" OF_TEXT("                                  a") "]" },
};

/* Any pieces of a text, which escapes are not split by. */
static void
add_pieces(struct buf *b, const char *text, size_t size)
{
	size_t n;

	for (; *text != '\0'; text += n) {
		for (n = 0; n < size && text[n] != '\0'; n++)
			n += text[n] == '\\';
		buf_puts(b, "data: {\"choices\":[{\"delta\":{\"content\":\"");
		buf_add(b, text, n);
		buf_puts(b, "\"}}]}\n\n");
	}
}

static void
test_tags(void **state)
{
	struct buf b;

	(void)state;
	for (size_t i = 0; i < COUNT(tagged); i++)
		for (size_t size = 1; size < 12; size++) {
			buf_init(&b, NULL);
			add_pieces(&b, tagged[i].text, size);
			buf_puts(&b, STOP);
			chat_expect_of(chat_tags, b.data, tagged[i].content);
			buf_fini(&b);
		}
}

/* What waits for the rest of a tag comes before what is not text. */
static void
test_tags_and_others(void **state)
{
	(void)state;
	chat_expect_of(chat_tags, TEXT("a</") CALL("0", "t", "f", "{}") STOP,
	    "[" OF_TEXT("a</") "," OF_CALL("t", "f", "{}") "]");
	chat_expect_of(chat_tags,
	    TEXT("<think>a</think>\\n") CALL("0", "t", "f", "{}") STOP,
	    "[" OF_THINKING("a") "," OF_CALL("t", "f", "{}") "]");
	chat_expect_of(chat_tags, TEXT("<") THINK("a") TEXT("b") STOP,
	    "[" OF_TEXT("<") "," OF_THINKING("a") "," OF_TEXT("b") "]");
	chat_expect_of(chat_tags, THINK("a") TEXT("b") STOP,
	    "[" OF_THINKING("a") "," OF_TEXT("b") "]");
	chat_expect_of(chat_tags,
	    TEXT("<think>a") THINK("b\\n") TEXT("</think>") TEXT("c") STOP,
	    "[" OF_THINKING("ab\\n") "," OF_TEXT("c") "]");
	chat_expect_of(
	    chat_tags, FINISH("stop") TEXT("a<"), "[" OF_TEXT("a<") "]");
	/* Without the quirk the tags are text. */
	chat_expect(TEXT("<think>a</think>b") STOP,
	    "[" OF_TEXT("<think>a</think>b") "]");
}

/* What is shown is shown as what it is, except thinking without a tag. */
static void
test_tags_shown(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, chat_tags,
	    TEXT("<think>a") TEXT("b</think>") TEXT("\\n") TEXT("c") TEXT("d")
		STOP);
	assert_string_equal(run.thinking.data, "ab");
	assert_string_equal(run.text.data, "cd");
	run_close(&run);
	run_text(&run, chat_tags, TEXT("a") TEXT("b</think>c") STOP);
	assert_string_equal(run.text.data, "abc");
	run_close(&run);
}

static void
name_call(void *ctx, char out[64])
{
	snprintf(out, 64, "call_%d", ++*(int *)ctx);
}

/* The history names the calls itself. */
static void
test_call_names(void **state)
{
	static const struct model_sink sink = { .call_id = name_call };
	static const char text[] =
	    CALL("0", "", "f", "{}") CALL("1", "functions.g:0", "g", "{}") STOP;
	struct model_decode *d;
	int count = 0;
	struct err err;

	(void)state;
	d = model_decode_new(MODEL_API_CHAT, 0, &sink, &count, &run_bounds);
	assert_int_equal(model_decode_feed(d, text, strlen(text), &err), 0);
	assert_int_equal(model_decode_finish(d, &err), 0);
	assert_string_equal(model_decode_result(d)->content.data,
	    "[" OF_CALL("call_1", "f", "{}") "," OF_CALL(
		"call_2", "g", "{}") "]");
	model_decode_free(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_reasoning),
		cmocka_unit_test(test_details),
		cmocka_unit_test(test_details_alone),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_block_input),
		cmocka_unit_test(test_stop_words),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_nulls),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_after_the_end),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_tags_and_others),
		cmocka_unit_test(test_tags_shown),
		cmocka_unit_test(test_call_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
