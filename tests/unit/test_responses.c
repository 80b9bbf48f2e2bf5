/* SPDX-License-Identifier: MIT */
/*
 * The decoder of OpenAI's Responses API: what no recording has. A stream is
 * written here as one event a line, with ' for ".
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
#include "base/err.h"
#include "base/json.h"
#include "decode_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct run_of api = { MODEL_API_RESPONSES, 0 };

#define CREATED                                                                \
	"{'type':'response.created','sequence_number':0,"                      \
	"'response':{'id':'resp_1','model':'m','status':'in_progress',"        \
	"'usage':null,'error':null}}\n"
#define ADDED(i, item)                                                         \
	"{'type':'response.output_item.added','output_index':" i               \
	",'item':" item "}\n"
#define DONE(i, item)                                                          \
	"{'type':'response.output_item.done','output_index':" i                \
	",'item':" item "}\n"
#define DELTA(what, i, id, text)                                               \
	"{'type':'response." what ".delta','output_index':" i                  \
	",'item_id':'" id "','content_index':0,'delta':'" text "'}\n"
#define TEXT(i, text) DELTA("output_text", i, "msg_" i, text)
#define ARGS(i, text) DELTA("function_call_arguments", i, "fc_" i, text)
#define MESSAGE(i, parts)                                                      \
	"{'id':'msg_" i "','type':'message','status':'completed',"             \
	"'content':[" parts "],'role':'assistant'}"
#define PART(text) "{'type':'output_text','annotations':[],'text':'" text "'}"
#define NO(text) "{'type':'refusal','refusal':'" text "'}"
#define CALL(i, args)                                                          \
	"{'id':'fc_" i "','type':'function_call','status':'completed',"        \
	"'arguments':" args ",'call_id':'call_" i "','name':'f'}"
#define THOUGHT(i, more)                                                       \
	"{'id':'rs_" i "','type':'reasoning','summary':[],'status':null" more  \
	"}"
#define SEALED(i) THOUGHT(i, ",'encrypted_content':'e" i "'")
#define END(word, more)                                                        \
	"{'type':'response." word "','response':{'id':'resp_1','model':'m2',"  \
	"'status':'" word "'" more "}}\n"
#define COMPLETED END("completed", "")
#define LENGTH                                                                 \
	END("incomplete",                                                      \
	    ",'incomplete_details':{'reason':'max_output_tokens'}")

static void
quoted(struct buf *b, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf_putc(b, text[i] == '\'' ? '"' : text[i]);
}

static void
stream(struct buf *b, const char *lines)
{
	size_t n;

	buf_init(b, NULL);
	for (; *lines != '\0'; lines += n + 1) {
		n = strcspn(lines, "\n");
		buf_puts(b, "data: ");
		quoted(b, lines, n);
		buf_puts(b, "\n\n");
	}
}

/* Each way of cutting it into pieces must give the same. */
static void
run_lines(struct run *run, const char *lines)
{
	struct run bytes;
	struct buf b;

	stream(&b, lines);
	run_stream(&bytes, api, buf_str(&b), b.len, 1, NULL);
	run_stream(run, api, buf_str(&b), b.len, b.len + 1, NULL);
	assert_string_equal(bytes.doc.data, run->doc.data);
	assert_string_equal(
	    buf_str(&bytes.r->content), buf_str(&run->r->content));
	assert_string_equal(buf_str(&bytes.text), buf_str(&run->text));
	run_close(&bytes);
	buf_fini(&b);
}

static void
expect_equal(const char *got, const char *expected)
{
	struct buf b;

	buf_init(&b, NULL);
	quoted(&b, expected, strlen(expected));
	assert_string_equal(got, buf_str(&b));
	buf_fini(&b);
}

static void
expect_content(const char *lines, const char *content)
{
	struct run run;

	run_lines(&run, lines);
	if (run.rc != 0)
		fail_msg("%s: %s", run.err.text, lines);
	expect_equal(buf_str(&run.r->content), content);
	run_close(&run);
}

/* Shown and kept, once. */
static void
expect_text(const char *lines, const char *text)
{
	struct run run;

	run_lines(&run, lines);
	assert_int_equal(run.rc, 0);
	if (strcmp(buf_str(&run.text), text) != 0)
		fail_msg("'%s', not '%s': %s", buf_str(&run.text), text, lines);
	run_close(&run);
}

#define MSG_NATIVE(i)                                                          \
	"'native':{'id':'msg_" i "','type':'message','status':'completed',"    \
	"'role':'assistant'}"
#define FC_NATIVE(i)                                                           \
	"'native':{'id':'fc_" i "','type':'function_call','status':'"          \
	"completed'}"

static void
test_content(void **state)
{
	(void)state;
	expect_content(
	    CREATED ADDED("0", SEALED("0")) DONE("0",
		THOUGHT("0",
		    ",'encrypted_content':'f','summary_x':null")) ADDED("1",
		"{'id':'msg_1','type':'message','status':'in_progress',"
		"'content':[],'phase':'commentary','role':'assistant'}")
		TEXT("1", "Gr\\u00fc") TEXT("1", "\xc3\x9f") TEXT("1", "e\\n")
		    DONE("1", "{'id':'msg_1','type':'message','content':[" PART(
				  "Gr\xc3\xbc\xc3\x9f"
				  "e\\n") "],'phase':'commentary','x':[1]}")
			ADDED("2", CALL("2", "''")) ARGS("2", "{\\'a\\':")
			    ARGS("2", "12345678901234567890}") DONE("2",
				CALL("2", "'{\\'a\\':12345678901234567890}'"))
				COMPLETED,
	    "[{'type':'thinking','thinking':'','native':{'id':'rs_0',"
	    "'type':'reasoning','summary':[],'encrypted_content':'f'}},"
	    "{'type':'text','text':'Gr\xc3\xbc\xc3\x9f"
	    "e\\n',"
	    "'native':{'id':'msg_1','type':'message','phase':'commentary',"
	    "'x':[1]}},"
	    "{'type':'tool_use','id':'call_2','name':'f',"
	    "'input':{'a':12345678901234567890}," FC_NATIVE("2") "}]");
}

/* What the provider's own tools did goes back whole, and only if whole. */
static void
test_opaque(void **state)
{
	(void)state;
	expect_content(
	    ADDED("0", "{'id':'ws','type':'web_search_call','status'"
		       ":'x'}") "{'type':'response.web_search_call."
				"searching',"
				"'output_index':0,'item_id':'ws'}"
				"\n" DONE("0", "{'id':'ws','type':'web_search_"
					       "call','a':{'b':null},"
					       "'c':null}")
				    ADDED("1", "{'id':'i','type':'image_"
					       "generation_call'}") COMPLETED,
	    "[{'type':'native','native':{'id':'ws','type':'web_search_call',"
	    "'a':{'b':null},'c':null}}]");
}

/* The place in the output decides; the ids may differ in every event. */
static void
test_rotating_ids(void **state)
{
	struct run run;

	(void)state;
	run_lines(&run,
	    CREATED ADDED("0", MESSAGE("a", "")) DELTA("output_text", "0",
		"msg_b", "Hi ") DELTA("output_text", "0", "msg_c",
		"you") DONE("0", MESSAGE("d", PART("Hi you"))) ADDED("1",
		CALL("a", "''")) DELTA("function_call_arguments", "1", "fc_b",
		"{}") DONE("1",
		"{'id':'fc_c','type':'function_call',"
		"'call_id':'call_a','name':'f','arguments':'{}'}")
		END("completed",
		    ",'output':[" MESSAGE("e",
			PART("Hi you")) ","
					"{'id':'fc_f','type':'function_call',"
					"'call_id':'call_a','name':'f','"
					"arguments':'{}'}]"));
	assert_int_equal(run.rc, 0);
	assert_string_equal(run.text.data, "Hi you");
	assert_int_equal(run.r->block_count, 2);
	assert_string_equal(run.r->block[0].item.data, "msg_d");
	assert_string_equal(run.r->block[1].item.data, "fc_c");
	assert_string_equal(run.r->block[1].id, "call_a");
	assert_int_equal(run.r->stop, MODEL_STOP_TOOL_CALLS);
	run_close(&run);
}

/* Servers that say 0 for every place, or none at all. */
static void
test_places(void **state)
{
	(void)state;
	expect_content(
	    ADDED("0", SEALED("0")) DONE("0", SEALED("0"))
		ADDED("0", CALL("1", "''")) ADDED("0", CALL("2", "''")) DELTA(
		    "function_call_arguments", "0", "fc_1", "{\\'a\\'")
		    DELTA("function_call_arguments", "0", "fc_2", "{\\'b\\'")
			DELTA("function_call_arguments", "0", "fc_1", ":1}")
			    DELTA("function_call_arguments", "0", "fc_2", ":2}")
				COMPLETED,
	    "[{'type':'tool_use','id':'call_1','name':'f','input':{'a':1}},"
	    "{'type':'tool_use','id':'call_2','name':'f','input':{'b':2}}]");
	expect_content(DONE("null", CALL("1", "'{\\'a\\':1}'"))
			   DONE("null", CALL("2", "'{\\'b\\':2}'")) COMPLETED,
	    "[{'type':'tool_use','id':'call_1','name':'f','input':{'a':1}"
	    "," FC_NATIVE("1") "},"
			       "{'type':'tool_use','id':'call_2','name':'f','"
			       "input':{'b':2}," FC_NATIVE("2") "}]");
	expect_content(
	    ADDED("-1",
		MESSAGE("7",
		    "")) "{'type':'response.output_text.delta','delta':'a'}\n"
			 "{'type':'response.output_text.delta','delta':'b',"
			 "'item_id':'other'}\n" DONE(
			     "null", MESSAGE("7", PART("ab"))) COMPLETED,
	    "[{'type':'text','text':'ab'," MSG_NATIVE("7") "}]");
}

static void
test_interleaved(void **state)
{
	struct run run;

	(void)state;
	run_lines(&run,
	    ADDED("0", MESSAGE("0", "")) ADDED("1", MESSAGE("1", ""))
		TEXT("1", "b") TEXT("0", "a") TEXT("0", "a") TEXT("1", "c")
		    DONE("1", MESSAGE("1", PART("bcd")))
			DONE("0", MESSAGE("0", PART("aa"))) COMPLETED);
	assert_string_equal(run.text.data, "baacd");
	expect_equal(run.r->content.data,
	    "[{'type':'text','text':'aa'," MSG_NATIVE(
		"0") "},"
		     "{'type':'text','text':'bcd'," MSG_NATIVE("1") "}]");
	run_close(&run);
}

#define TEXT_DONE(part, text)                                                  \
	"{'type':'response.output_text.done','output_index':0,"                \
	"'item_id':'msg_0','content_index':" part ",'text':'" text "'}\n"
#define OUTPUT(items) END("completed", ",'output':[" items "]")

/* Text that only a later event has is shown; none is shown twice. */
static void
test_catch_up(void **state)
{
	static const struct {
		const char *lines, *text;
	} rows[] = {
		{ TEXT("0", "a") TEXT("0", "b") COMPLETED, "ab" },
		{ TEXT_DONE("0", "ab") DONE("0", MESSAGE("0", PART("ab")))
			OUTPUT(MESSAGE("0", PART("ab"))),
		    "ab" },
		{ DONE("0", MESSAGE("0", PART("ab"))) COMPLETED, "ab" },
		{ OUTPUT(MESSAGE("0", PART("ab"))), "ab" },
		{ OUTPUT(MESSAGE("0", PART("ab") "," PART("cd"))), "abcd" },
		{ OUTPUT("{'type':'message','content':'ab'}"), "ab" },
		{ OUTPUT("{'content':[" PART("ab") "]}"), "ab" },
		{ ADDED("0", MESSAGE("0", "")) OUTPUT(MESSAGE("0", PART("ab"))),
		    "ab" },
		{ TEXT("0", "a") TEXT_DONE("0", "ab") COMPLETED, "ab" },
		{ TEXT("0", "a") DONE("0", MESSAGE("0", PART("ab"))) COMPLETED,
		    "ab" },
		{ TEXT("0", "a") OUTPUT(MESSAGE("0", PART("ab"))), "ab" },
		{ TEXT("0", "ab") TEXT_DONE("1", "cd") DONE(
		      "0", MESSAGE("0", PART("ab") "," PART("cd"))) COMPLETED,
		    "abcd" },
		{ TEXT_DONE("0", "ab") TEXT("0", "c")
			DONE("0", MESSAGE("0", PART("ab") "," PART("cd")))
			    OUTPUT(MESSAGE("0", PART("abc") "," PART("de"))),
		    "abcde" },
		{ TEXT("0", "ax") DONE("0", MESSAGE("0", PART("ab"))) COMPLETED,
		    "ax" },
		{ TEXT("0", "abc") DONE("0", MESSAGE("0", PART("ab")))
			OUTPUT(MESSAGE("0", "")),
		    "abc" },
		{ TEXT("0", "ab") TEXT("1", "cd") OUTPUT(
		      MESSAGE("0", PART("ab")) "," MESSAGE("1", PART("cd"))),
		    "abcd" },
		/* an item is left out: places and ids fit nothing */
		{ DONE("0", SEALED("0")) TEXT("1", "ab")
			DONE("1", MESSAGE("1", PART("ab")))
			    OUTPUT(MESSAGE("x", PART("ab"))),
		    "ab" },
	/* no ids, one place: their texts are not mixed */
#define BARE(text) "{'type':'message','content':[" PART(text) "]}"
		{ ADDED("0", BARE("")) DONE("0", BARE("I am"))
			ADDED("0", BARE("")) DONE("0", BARE("I"))
			    OUTPUT(BARE("I am") "," BARE("I")),
		    "I amI" },
		/* one of two is new, and its place is not taken */
		{ DONE("1", MESSAGE("1", PART("cd"))) OUTPUT(
		      MESSAGE("0", PART("ab")) "," MESSAGE("1", PART("cd"))),
		    "cdab" },
		{ TEXT("0", "a") OUTPUT(""), "a" },
		{ TEXT("0", "a") END("completed", ",'output':null"), "a" },
		{ TEXT("0", "a") END("completed", ",'output':{'content':[]}"),
		    "a" },
		{ TEXT("0", "a") OUTPUT("null,7,{},[],{'type':null}"), "a" },
		{ TEXT("0",
		      "a") "{'type':'response.completed','response':null}\n",
		    "a" },
		{ TEXT("0", "a") "{'type':'response.completed'}\n", "a" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_text(rows[i].lines, rows[i].text);
}

/* One of them is shown; the item has both. */
static void
test_thinking(void **state)
{
	static const struct {
		const char *lines, *thinking;
	} rows[] = {
		{ DELTA("reasoning_summary_text", "0", "rs_0", "ab")
			DONE("0", THOUGHT("0", "")),
		    "ab" },
		{ DELTA("reasoning_text", "0", "rs_0", "a")
			DELTA("reasoning_text", "0", "rs_0", "b") DONE("0",
			    "{'id':'rs_0','type':'reasoning',"
			    "'summary':[{'type':'summary_text',"
			    "'text':'short'}],'content':["
			    "{'type':'reasoning_text','text':'abc'}]}"),
		    "abc" },
		{ DONE("0", "{'type':'reasoning','summary':[{'text':'ab'},"
			    "{'text':'c'},{'text':null},7],"
			    "'content':[{'text':'other'}]}"),
		    "abc" },
		{ DONE("0", "{'type':'reasoning','summary':null,"
			    "'content':[{'text':'ab'}]}"),
		    "ab" },
		{ "{'type':'response.reasoning_summary_text.done',"
		  "'output_index':0,'summary_index':0,'text':'ab'}\n"
		  "{'type':'response.reasoning_summary_text.done',"
		  "'output_index':0,'summary_index':1,'text':'ab'}\n" DONE("0",
		      "{'type':'reasoning','summary':[{'text':'ab'},"
		      "{'text':'ab'}]}"),
		    "abab" },
	};
	struct run run;
	char lines[1000];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(
		    lines, sizeof(lines), "%s%s", rows[i].lines, COMPLETED);
		run_lines(&run, lines);
		assert_string_equal(run.thinking.data, rows[i].thinking);
		assert_int_equal(run.text.len, 0);
		assert_int_equal(run.r->block_count, 1);
		run_close(&run);
	}
}

/*
 * Reasoning goes back only before an item that goes back: OpenAI refuses one
 * without the other. What people read of it stays.
 */
static void
test_thinking_sent(void **state)
{
	(void)state;
	expect_content(DONE("0", SEALED("0")) LENGTH, "[]");
	expect_content(DELTA("reasoning_summary_text", "0", "rs_0", "hm")
			   DONE("0", SEALED("0")) LENGTH,
	    "[{'type':'thinking','thinking':'hm'}]");
	expect_content(DONE("0", SEALED("0")) DONE("1", THOUGHT("1", ""))
			   DONE("2", MESSAGE("2", PART("a")))
			       DONE("3", SEALED("3")) COMPLETED,
	    "[{'type':'thinking','thinking':'','native':{'id':'rs_0',"
	    "'type':'reasoning','summary':[],'encrypted_content':'e0'}},"
	    "{'type':'thinking','thinking':'','native':{'id':'rs_1',"
	    "'type':'reasoning','summary':[]}},"
	    "{'type':'text','text':'a'," MSG_NATIVE("2") "}]");
	/* what never came whole */
	expect_content(ADDED("0", SEALED("0"))
			   DONE("1", MESSAGE("1", PART("a"))) COMPLETED,
	    "[{'type':'text','text':'a'}]");
	expect_content(DONE("0", SEALED("0")) ADDED("1", MESSAGE("1", ""))
			   TEXT("1", "a") COMPLETED,
	    "[{'type':'text','text':'a'}]");
	/* the last event has what was missing */
	expect_content(DONE("0", THOUGHT("0", "")) DONE("1", CALL("1", "'{}'"))
			   OUTPUT(SEALED("0") "," CALL("1", "'{}'")),
	    "[{'type':'thinking','thinking':'','native':{'id':'rs_0',"
	    "'type':'reasoning','summary':[],'encrypted_content':'e0'}},"
	    "{'type':'tool_use','id':'call_1','name':'f','input':{}," FC_NATIVE(
		"1") "}]");
	expect_content(DONE("0", SEALED("0")) DONE("1", CALL("1", "'{}'"))
			   OUTPUT(THOUGHT("0", "") "," CALL("1", "'{}'")),
	    "[{'type':'thinking','thinking':'','native':{'id':'rs_0',"
	    "'type':'reasoning','summary':[],'encrypted_content':'e0'}},"
	    "{'type':'tool_use','id':'call_1','name':'f','input':{}," FC_NATIVE(
		"1") "}]");
}

static void
test_refusal(void **state)
{
	static const char *const streams[] = {
		ADDED("0", MESSAGE("0", "")) DELTA("refusal", "0", "msg_0", "N")
		    DELTA("refusal", "0", "msg_0", "o")
			DONE("0", MESSAGE("0", NO("No"))) COMPLETED,
		DELTA("refusal", "0", "msg_0", "No")
		    DONE("0", MESSAGE("0", NO("No"))) COMPLETED,
		DELTA("refusal", "null", "msg_0", "N")
		    DONE("null", MESSAGE("0", NO("No"))) COMPLETED,
		"{'type':'response.refusal.done','output_index':0,"
		"'item_id':'msg_0','refusal':'No'}\n" OUTPUT(
		    MESSAGE("0", NO("No"))),
		OUTPUT(MESSAGE("0", NO("No"))),
	};
	struct run run;

	(void)state;
	for (size_t i = 0; i < COUNT(streams); i++) {
		run_lines(&run, streams[i]);
		assert_int_equal(run.rc, 0);
		assert_string_equal(run.text.data, "No");
		assert_int_equal(run.r->stop, MODEL_STOP_STOP);
		assert_int_equal(run.r->block_count, 2);
		expect_equal(run.r->content.data,
		    "[{'type':'text','text':'No','refusal':true," MSG_NATIVE(
			"0") "}]");
		assert_non_null(strstr(run.doc.data,
		    "\"blocks\":[{\"type\":\"text\",\"text\":\"\","
		    "\"item_id\":\"msg_0\"}]"));
		run_close(&run);
	}
	/* one item: its id goes back once */
	expect_content(TEXT("0", "a") DONE(
			   "0", MESSAGE("0", PART("a") "," NO("No"))) COMPLETED,
	    "[{'type':'text','text':'a'," MSG_NATIVE(
		"0") "},"
		     "{'type':'text','text':'No','refusal':true}]");
}

/* ---- calls ---- */

static void
test_calls(void **state)
{
	static const struct {
		const char *lines;
		int runs, parsed;
		const char *text;
	} rows[] = {
		{ ADDED("0", CALL("0", "''")) COMPLETED, 1, 0, "" },
		{ ADDED("0", CALL("0", "null")) LENGTH, 0, 0, "" },
		{ ADDED("0", CALL("0", "''")) ARGS("0", "{\\'a")
			DONE("0", CALL("0", "'{\\'a'")) LENGTH,
		    0, 0, "{'a" },
		{ ADDED("0", CALL("0", "'{}'")) COMPLETED, 1, 0, "{}" },
		{ ADDED("0", CALL("0", "'{}'")) ARGS("0", "{ }") COMPLETED, 1,
		    0, "{ }" },
		{ ADDED("0", CALL("0", "{}")) ARGS("0", "{ }") COMPLETED, 1, 0,
		    "{ }" },
		{ DONE("0", CALL("0", "{'a':[1]}")) COMPLETED, 1, 1,
		    "{'a':[1]}" },
		{ DONE("0", CALL("0", "[1]")) COMPLETED, 0, 0, "[1]" },
		{ DONE("0", CALL("0", "7")) COMPLETED, 0, 0, "7" },
		{ DONE("0", CALL("0", "'7'")) COMPLETED, 0, 0, "7" },
		{ ARGS("0", "{}") DONE("0", CALL("0", "''")) COMPLETED, 1, 0,
		    "{}" },
		{ ARGS("0", "{}") DONE("0", CALL("0", "null")) COMPLETED, 1, 0,
		    "{}" },
		{ ARGS("0", "{}") OUTPUT(CALL("0", "'{ }'")), 1, 0, "{ }" },
		{ ARGS("0", "{") DONE("0", CALL("0", "'{}'")) ARGS("0", "}")
			COMPLETED,
		    1, 0, "{}" },
		{ ADDED("0", CALL("0", "''")) "{'type':'response.function_call_"
					      "arguments.done',"
					      "'output_index':0,'arguments':'{}"
					      "'}\n" COMPLETED,
		    1, 0, "{}" },
		{ DONE("0", CALL("0", "'{}'")) OUTPUT(CALL("0", "'{ }'")), 1, 0,
		    "{}" },
		{ OUTPUT(CALL("0", "'{}'")), 1, 0, "{}" },
	};
	struct run run;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		run_lines(&run, rows[i].lines);
		assert_int_equal(run.rc, 0);
		assert_int_equal(run.r->block_count, 1);
		if ((run.r->block[0].valid && !run.r->block[0].cut) !=
			rows[i].runs ||
		    run.r->block[0].parsed != rows[i].parsed)
			fail_msg("row %zu: %s", i, run.doc.data);
		expect_equal(buf_str(&run.r->block[0].text), rows[i].text);
		assert_int_equal(run.r->blocks, 1);
		run_close(&run);
	}
}

/* A result must name the kind of its call, and its input may be no JSON. */
static void
test_custom_call(void **state)
{
#define CUSTOM(input)                                                          \
	"{'id':'ct','type':'custom_tool_call','call_id':'c','name':'sh',"      \
	"'input':" input ",'status':null}"
	(void)state;
	expect_content(
	    ADDED("0", CUSTOM("''")) DELTA("custom_tool_call_input", "0", "ct",
		"ls") DELTA("custom_tool_call_input", "0", "ct",
		" -l") "{'type':'response.custom_tool_call_input.done',"
		       "'output_index':0,'input':'ls -l'}\n" DONE(
			   "0", CUSTOM("'ls -l'")) COMPLETED,
	    "[{'type':'tool_use','id':'c','name':'sh','input':{},"
	    "'native':{'id':'ct','type':'custom_tool_call',"
	    "'input':'ls -l'}}]");
}

static void
test_call_names(void **state)
{
	struct run run;

	(void)state;
	run_lines(&run,
	    ADDED("0", "{'type':'function_call','call_id':null,'name':null}")
		ARGS("0", "{}") DONE("0", "{'type':'function_call',"
					  "'call_id':'c','name':'g h'}")
		    COMPLETED);
	assert_int_equal(run.rc, 0);
	assert_string_equal(run.r->block[0].id, "c");
	assert_string_equal(run.r->block[0].name, "g h");
	expect_equal(run.r->content.data,
	    "[{'type':'tool_use','id':'c','name':'invalid_tool_name',"
	    "'input':{},'native':{'type':'function_call'}}]");
	run_close(&run);
	run_lines(
	    &run, DONE("0", "{'type':'function_call','name':'f'}") COMPLETED);
	assert_int_equal(run.rc, 0);
	assert_string_equal(run.r->block[0].id, "");
	run_close(&run);
}

/* ---- the end ---- */

static void
test_stop(void **state)
{
	static const struct {
		const char *end, *raw;
		enum model_stop stop;
	} rows[] = {
		{ COMPLETED, "completed", MODEL_STOP_STOP },
		{ DONE("0", CALL("0", "''")) COMPLETED, "completed",
		    MODEL_STOP_TOOL_CALLS },
		{ LENGTH, "incomplete:max_output_tokens", MODEL_STOP_LENGTH },
		{ DONE("0", CALL("0", "'{'")) LENGTH,
		    "incomplete:max_output_tokens", MODEL_STOP_LENGTH },
		{ END("incomplete",
		      ",'incomplete_details':{'reason':'content_filter'}"),
		    "incomplete:content_filter", MODEL_STOP_CONTENT_FILTER },
		{ END("incomplete", ",'incomplete_details':{'reason':'new'}"),
		    "incomplete:new", MODEL_STOP_OTHER },
		{ END("incomplete", ",'incomplete_details':null"), "incomplete",
		    MODEL_STOP_OTHER },
		{ "{'type':'response.completed','response':{'status':"
		  "'incomplete','incomplete_details':"
		  "{'reason':'max_output_tokens'}}}\n",
		    "incomplete:max_output_tokens", MODEL_STOP_LENGTH },
		{ "{'type':'response.completed','response':{'status':"
		  "'cancelled'}}\n",
		    "cancelled", MODEL_STOP_OTHER },
		{ "{'type':'response.incomplete','response':{'status':"
		  "'new'}}\n",
		    "incomplete", MODEL_STOP_OTHER },
	};
	struct run run;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		run_lines(&run, rows[i].end);
		assert_int_equal(run.rc, 0);
		assert_int_equal(run.r->stop, rows[i].stop);
		assert_string_equal(run.r->stop_raw, rows[i].raw);
		run_close(&run);
	}
}

static void
test_usage(void **state)
{
	static const struct {
		const char *usage;
		struct model_usage u;
	} rows[] = {
		{ "null", { -1, -1, -1, -1, -1 } },
		{ "7", { -1, -1, -1, -1, -1 } },
		{ "{}", { -1, -1, 0, 0, -1 } },
		{ "{'input_tokens':9,'output_tokens':5,"
		  "'input_tokens_details':{'cached_tokens':4,"
		  "'cache_write_tokens':3},"
		  "'output_tokens_details':{'reasoning_tokens':2}}",
		    { 9, 5, 4, 3, 2 } },
		{ "{'input_tokens':9,'output_tokens':5,"
		  "'input_tokens_details':null,'output_tokens_details':[]}",
		    { 9, 5, 0, 0, -1 } },
		{ "{'input_tokens':-9,'output_tokens':'5',"
		  "'input_tokens_details':{'cached_tokens':1e99}}",
		    { -1, -1, 0, 0, -1 } },
	};
	struct run run;
	char lines[500];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(lines, sizeof(lines), END("completed", ",'usage':%s"),
		    rows[i].usage);
		run_lines(&run, lines);
		assert_int_equal(run.rc, 0);
		assert_memory_equal(
		    &run.r->usage, &rows[i].u, sizeof(rows[i].u));
		assert_string_equal(run.r->model, "m2");
		assert_string_equal(run.r->response_id, "resp_1");
		run_close(&run);
	}
}

/* Whatever comes after it, it has ended. */
static void
test_after_the_end(void **state)
{
	struct run run;

	(void)state;
	run_lines(
	    &run, TEXT("0", "a") COMPLETED TEXT("0",
		      "b") "{'type':'error','message':'No.'}\n{\n[DONE]\n");
	assert_int_equal(run.rc, 0);
	assert_string_equal(run.text.data, "a");
	assert_int_equal(run.r->events, 6);
	assert_true(run.r->done_marker);
	model_decode_interrupt(run.d);
	assert_int_equal(model_decode_feed(run.d, "x", 1, &run.err), 0);
	assert_int_equal(model_decode_finish(run.d, &run.err), 0);
	run_close(&run);
}

/* ---- failures ---- */

static void
expect_failure(const char *lines, const char *type, const char *code,
    const char *message, int retryable)
{
	struct run run;

	run_lines(&run, lines);
	assert_int_equal(run.rc, -1);
	assert_int_equal(run.err.code, ERR_MODEL);
	assert_true(run.r->failure.failed);
	assert_string_equal(run.r->failure.type, type);
	assert_string_equal(run.r->failure.code, code);
	assert_string_equal(run.r->failure.message, message);
	if (run.r->failure.retryable != retryable)
		fail_msg("retryable %d: %s", !retryable, lines);
	assert_int_equal(model_decode_feed(run.d, "x", 1, &run.err), -1);
	assert_int_equal(model_decode_finish(run.d, &run.err), -1);
	run_close(&run);
}

#define ERROR(more) "{'type':'error','sequence_number':3," more "}\n"
#define NESTED(more) ERROR("'error':{'message':'No.'," more "}")

static void
test_errors(void **state)
{
	static const struct {
		const char *lines, *type, *code;
		int retryable;
	} rows[] = {
		{ NESTED("'type':'server_error','code':'server_error',"
			 "'param':null"),
		    "server_error", "\"server_error\"", 1 },
		{ NESTED("'type':'tokens','code':'rate_limit_exceeded'"),
		    "tokens", "\"rate_limit_exceeded\"", 1 },
		{ NESTED("'type':'insufficient_quota',"
			 "'code':'insufficient_quota'"),
		    "insufficient_quota", "\"insufficient_quota\"", 0 },
		{ NESTED("'type':'invalid_request_error',"
			 "'code':'context_length_exceeded'"),
		    "invalid_request_error", "\"context_length_exceeded\"", 0 },
		{ NESTED("'type':null,'code':null"), "", "", 1 },
		{ ERROR("'code':'server_error','message':'No.','param':null"),
		    "", "\"server_error\"", 1 },
		{ ERROR("'code':'server_is_overloaded','message':'No.'"), "",
		    "\"server_is_overloaded\"", 1 },
		{ END("failed", ",'error':{'code':'vector_store_timeout',"
				"'message':'No.'}"),
		    "", "\"vector_store_timeout\"", 1 },
		{ ERROR("'code':503,'message':'No.'"), "", "503", 1 },
		{ ERROR("'code':null,'message':'No.'"), "", "", 1 },
		{ "{'code':'Some error','error':'No.'}\n", "", "\"Some error\"",
		    1 },
		{ "{'error':{'code':429,'message':'No.'}}\n", "", "429", 1 },
		{ END("failed",
		      ",'error':{'code':'server_error','message':'No.'}"),
		    "", "\"server_error\"", 1 },
		{ END("failed", ",'error':{'code':'invalid_prompt',"
				"'message':'No.'}"),
		    "", "\"invalid_prompt\"", 0 },
		{ END("failed", ",'error':'No.'"), "", "", 1 },
		{ NESTED("'type':'t','code':'c'")
			END("failed", ",'error':null"),
		    "t", "\"c\"", 1 },
		{ NESTED("'type':'t','code':'c'") END("failed",
		      ",'error':{'code':'server_error','message':'No.'}"),
		    "", "\"server_error\"", 1 },
		{ "{'type':'response.completed','response':{'status':'failed',"
		  "'error':{'code':'server_error','message':'No.'}}}\n",
		    "", "\"server_error\"", 1 },
		/* an error is none the less one if the answer goes on */
		{ NESTED("'type':'t','code':'c'") COMPLETED, "t", "\"c\"", 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_failure(rows[i].lines, rows[i].type, rows[i].code, "No.",
		    rows[i].retryable);
	expect_failure(END("failed", ",'error':null"), "", "",
	    "the answer failed, and no reason was said", 1);
	expect_failure("{'type':'response.failed'}\n", "", "",
	    "the answer failed, and no reason was said", 1);
}

/* Of what failed the history keeps what stands alone. */
static void
test_error_keeps_text(void **state)
{
	struct run run;

	(void)state;
	run_lines(&run,
	    CREATED DONE("0", SEALED("0")) DONE("1", MESSAGE("1", PART("a")))
		DONE("2", CALL("2", "'{'")) DONE("3", SEALED("3"))
		    ADDED("4", MESSAGE("4", "")) TEXT("4", "b")
			NESTED("'type':'server_error'")
			    END("failed", ",'error':{'message':'No.'}"));
	assert_int_equal(run.rc, -1);
	assert_true(run.r->complete);
	assert_int_equal(run.r->stop, MODEL_STOP_ERROR);
	assert_string_equal(run.r->stop_raw, "failed");
	assert_string_equal(run.text.data, "ab");
	expect_equal(run.r->content.data,
	    "[{'type':'thinking','thinking':'','native':{'id':'rs_0',"
	    "'type':'reasoning','summary':[],'encrypted_content':'e0'}},"
	    "{'type':'text','text':'a'," MSG_NATIVE(
		"1") "},"
		     "{'type':'text','text':'b'}]");
	run_close(&run);
}

static void
test_cut(void **state)
{
	struct run run;

	(void)state;
	expect_failure(TEXT("0", "a"), "stream_cut", "",
	    "the stream ended before response.completed", 1);
	expect_failure(TEXT("0", "a")
			   DONE("0", MESSAGE("0", PART("a"))) "[DONE]\n",
	    "stream_cut", "", "the stream ended before response.completed", 1);
	expect_failure(
	    "", "stream_cut", "", "the stream ended without an event", 1);
	run_text(&run, api,
	    "{\n \"error\": {\n  \"code\": \"server_error\",\n"
	    "  \"message\": \"No.\"\n }\n}");
	assert_int_equal(run.rc, -1);
	assert_true(run.r->failure.outside);
	assert_string_equal(run.r->failure.message, "No.");
	run_close(&run);
}

/* Text in a form that is not known must not get lost in silence. */
static void
test_bad_events(void **state)
{
	static const char *const deltas[] = { "7", "{'text':'a'}", "['a']",
		"true" };
	char lines[500];

	(void)state;
	for (size_t i = 0; i < COUNT(deltas); i++) {
		snprintf(lines, sizeof(lines),
		    "{'type':'response.output_text.delta','output_index':0,"
		    "'delta':%s}\n" COMPLETED,
		    deltas[i]);
		expect_failure(lines, "bad_event", "", "a delta is no text", 1);
		snprintf(lines, sizeof(lines),
		    "{'type':'response.function_call_arguments.delta',"
		    "'output_index':0,'delta':%s}\n" COMPLETED,
		    deltas[i]);
		expect_failure(lines, "bad_event", "", "a delta is no text", 1);
	}
}

static const char *const known[] = { "response.created", "response.queued",
	"response.in_progress", "response.output_item.added",
	"response.output_item.done", "response.output_text.delta",
	"response.output_text.done", "response.refusal.delta",
	"response.refusal.done", "response.reasoning_summary_text.delta",
	"response.reasoning_summary_text.done", "response.reasoning_text.delta",
	"response.reasoning_text.done",
	"response.function_call_arguments.delta",
	"response.function_call_arguments.done",
	"response.custom_tool_call_input.delta",
	"response.custom_tool_call_input.done", "response.completed",
	"response.incomplete", "response.failed", "error" };

static const char *const members[] = { "response", "item", "output_index",
	"item_id", "content_index", "summary_index", "delta", "text", "refusal",
	"arguments", "input", "error", "message", "code" };

static const char *const item_members[] = { "id", "type", "status", "content",
	"role", "call_id", "name", "arguments", "input", "summary", "phase",
	"encrypted_content" };

static const char *const response_members[] = { "id", "model", "status",
	"output", "usage", "error", "incomplete_details" };

/* Each event with each of its members missing, null, or of a type that it
 * should not have, before a stream that is well: it ends one way or the
 * other, and the content is what it should be. */
static void
try_odd(const char *type, const char *outer, const char *item_type,
    const char *member, const char *value)
{
	struct arena *a = arena_open(4096);
	struct run run;
	char lines[1000];

	snprintf(lines, sizeof(lines),
	    "%s{'type':'%s','output_index':0,'%s':{'type':'%s','%s':%s}}\n%s%s",
	    TEXT("0", "a"), type, outer, item_type,
	    strcmp(member, "type") == 0 ? "x" : member, value, TEXT("0", "b"),
	    COMPLETED);
	run_lines(&run, lines);
	assert_int_equal(run.rc == 0, !run.r->failure.failed);
	run_content(a, &run);
	run_close(&run);
	arena_close(&a);
}

static void
test_nulls(void **state)
{
	static const char *const values[] = { "null", "7", "'x'", "[]", "{}",
		"[null,7,'x',[],{}]", "true" };
	static const char *const types[] = { "message", "reasoning",
		"function_call", "custom_tool_call", "web_search_call" };
	struct run run;
	char lines[1000];

	(void)state;
	for (size_t k = 0; k < COUNT(known); k++)
		for (size_t v = 0; v < COUNT(values); v++) {
			for (size_t m = 0; m < COUNT(members); m++) {
				snprintf(lines, sizeof(lines),
				    "{'type':'%s','%s':%s}\n%s%s", known[k],
				    members[m], values[v], TEXT("0", "b"),
				    COMPLETED);
				run_lines(&run, lines);
				run_close(&run);
			}
			for (size_t m = 0; m < COUNT(response_members); m++)
				try_odd(known[k], "response", "x",
				    response_members[m], values[v]);
			for (size_t m = 0; m < COUNT(item_members); m++)
				for (size_t t = 0; t < COUNT(types); t++)
					try_odd(known[k], "item", types[t],
					    item_members[m], values[v]);
		}
}

static void
test_unknown(void **state)
{
	(void)state;
	expect_text(
	    "{'type':'response.new','delta':'x','output_index':0}\n"
	    "{'type':7}\n{'type':null}\n7\n[]\nnull\n{}\n"
	    "{'type':'response.content_part.added','output_index':0,"
	    "'content_index':0,'part':{'type':'output_text',"
	    "'text':'x'}}\n"
	    "{'type':'response.output_text.annotation.added',"
	    "'output_index':0,'annotation':null}\n"
	    "{'type':'response.mcp_call_arguments.delta',"
	    "'output_index':0,'delta':'x'}\n" ADDED("0", MESSAGE("0", ""))
		TEXT("0", "a") DONE("0",
		    MESSAGE("0", "{'type':'new','x':1}," PART("a"))) COMPLETED,
	    "a");
}

/* SSE's name stands for a type that is missing. */
static void
test_event_names(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, api,
	    "event: response.output_text.delta\n"
	    "data: {\"output_index\":0,\"delta\":\"a\"}\n\n"
	    "event: response.completed\ndata: {}\n\n");
	assert_int_equal(run.rc, 0);
	assert_string_equal(run.text.data, "a");
	run_close(&run);
	run_text(&run, api,
	    "event: response.output_text.delta\n"
	    "data: {\"output_index\":0,\"delta\":\"a\"}\n\n"
	    "event: response.reasoning_text.delta\n"
	    "data: {\"output_index\":0,\"delta\":\"b\"}\n\n"
	    "event: response.completed\ndata: {}\n\n");
	assert_string_equal(run.text.data, "a");
	assert_string_equal(run.thinking.data, "b");
	run_close(&run);
	run_text(&run, api, "event: error\ndata: {\"message\":\"No.\"}\n\n");
	assert_int_equal(run.rc, -1);
	assert_string_equal(run.r->failure.message, "No.");
	run_close(&run);
	run_text(&run, api, "event: error\ndata: No.\n\n");
	assert_int_equal(run.rc, -1);
	assert_string_equal(run.r->failure.message, "No.");
	run_close(&run);
}

/* ---- bounds ---- */

static int
run_bounded(const char *lines, struct model_bounds bounds)
{
	struct run run;
	struct buf b;
	int rc;

	stream(&b, lines);
	run_open(&run, api, &bounds);
	rc = model_decode_feed(run.d, b.data, b.len, &run.err);
	if (rc == 0)
		rc = model_decode_finish(run.d, &run.err);
	if (rc < 0)
		assert_int_equal(run.err.code, ERR_TOO_LARGE);
	assert_int_equal(run.r->failure.failed, rc < 0);
	run_close(&run);
	buf_fini(&b);
	return rc;
}

/* What takes the place of what was kept needs no more room than itself. */
static void
test_bounds(void **state)
{
	static const struct {
		const char *lines;
		size_t bytes;
		int rc;
	} rows[] = {
		{ TEXT("0", "0123456789") COMPLETED, 15, 0 },
		{ TEXT("0", "0123456789") COMPLETED, 14, -1 },
		{ OUTPUT(MESSAGE("0", PART("0123456789"))), 86, 0 },
		{ OUTPUT(MESSAGE("0", PART("0123456789"))), 85, -1 },
		{ DONE("0", SEALED("0")) DONE("0", SEALED("0"))
			DONE("0", SEALED("0")) COMPLETED,
		    74, 0 },
		{ DONE("0", SEALED("0")) COMPLETED, 73, -1 },
		{ ARGS("0", "{}") DONE("0", CALL("0", "'{}'"))
			DONE("0", CALL("0", "'{}'")) COMPLETED,
		    63, 0 },
		{ DONE("0", CALL("0", "'{}'")) COMPLETED, 62, -1 },
		{ DONE("0", "{'type':'web_search_call'}") COMPLETED, 26, 0 },
		{ DONE("0", "{'type':'web_search_call'}") COMPLETED, 25, -1 },
	};
	struct model_bounds bounds = { 4096, 0 };
	struct buf many;
	char id[400];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bounds.answer_bytes = rows[i].bytes;
		if (run_bounded(rows[i].lines, bounds) != rows[i].rc)
			fail_msg("row %zu", i);
	}
	bounds.answer_bytes = 1 << 20;
	buf_init(&many, NULL);
	for (int i = 0; i < 4097; i++)
		buf_puts(&many, DONE("0", "{'type':'x'}"));
	buf_puts(&many, COMPLETED);
	assert_int_equal(run_bounded(buf_str(&many), bounds), 0);
	buf_clear(&many);
	for (int i = 0; i < 4097; i++)
		buf_puts(&many, ADDED("0", "{'type':'x'}"));
	assert_int_equal(run_bounded(buf_str(&many), bounds), -1);
	buf_fini(&many);
	/* an item's id may be long, that of a call not */
	memset(id, 'i', sizeof(id));
	id[sizeof(id) - 1] = '\0';
	buf_init(&many, NULL);
	buf_printf(&many,
	    DONE("0", "{'type':'function_call','id':'%s'}") COMPLETED, id);
	assert_int_equal(run_bounded(buf_str(&many), bounds), 0);
	buf_clear(&many);
	buf_printf(&many,
	    DONE("0", "{'type':'function_call','call_id':'%s'}") COMPLETED, id);
	expect_failure(
	    buf_str(&many), "bad_event", "", "an id or a name is too long", 1);
	buf_fini(&many);
}

/* ---- stopped ---- */

static void
expect_stopped(const char *lines, const char *content)
{
	struct run run;
	struct buf b;

	stream(&b, lines);
	run_open(&run, api, &run_bounds);
	assert_int_equal(model_decode_feed(run.d, b.data, b.len, &run.err), 0);
	model_decode_interrupt(run.d);
	expect_equal(run.r->content.data, content);
	assert_int_equal(model_decode_finish(run.d, &run.err), -1);
	assert_int_equal(run.err.code, ERR_CANCELLED);
	run_close(&run);
	buf_fini(&b);
}

static void
test_interrupt(void **state)
{
	(void)state;
	expect_stopped(CREATED DONE("0", SEALED("0")), "[]");
	expect_stopped(DONE("0", SEALED("0")) ADDED("1", MESSAGE("1", ""))
			   TEXT("1", "a"),
	    "[{'type':'text','text':'a'}]");
	expect_stopped(DELTA("reasoning_summary_text", "0", "rs_0", "hm") DONE(
			   "0", SEALED("0")) DONE("1", MESSAGE("1", PART("a")))
			   ADDED("2", CALL("2", "'{}'"))
			       ADDED("3", "{'type':'web_search_call'}"),
	    "[{'type':'thinking','thinking':'hm','native':{'id':'rs_0',"
	    "'type':'reasoning','summary':[],'encrypted_content':'e0'}},"
	    "{'type':'text','text':'a'," MSG_NATIVE("1") "}]");
	expect_stopped(DONE("0", SEALED("0")) DONE("1", CALL("1", "'{}'"))
			   DONE("2", SEALED("2")) DONE("3", CALL("3", "'{'")),
	    "[{'type':'thinking','thinking':'','native':{'id':'rs_0',"
	    "'type':'reasoning','summary':[],'encrypted_content':'e0'}},"
	    "{'type':'tool_use','id':'call_1','name':'f','input':{}," FC_NATIVE(
		"1") "}]");
}

/* Text events that differ in their number and padding alone are like those
 * that are parsed, whatever stands between them. */
static void
test_frames(void **state)
{
#define FRAME(i, n, pad, text)                                                 \
	"{'type':'response.output_text.delta','content_index':0,'delta':"      \
	"'" text "','item_id':'m" i "','logprobs':[],'obfuscation':'" pad      \
	"','output_index':" i ",'sequence_number':" n "}\n"
	(void)state;
	expect_text(FRAME("0", "1", "x", "a") FRAME("0", "2", "", "b") FRAME(
			"0", "10", "xyz", "\\n") FRAME("0", "11", "", "c")
			FRAME("0", "12", "", "") FRAME("1", "13", "", "d")
			    FRAME("0", "14", "", "e") FRAME("1", "15", "", "f")
				FRAME("0", "16", "\\n", "g") COMPLETED,
	    "ab\ncdefg");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_opaque),
		cmocka_unit_test(test_rotating_ids),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_catch_up),
		cmocka_unit_test(test_thinking),
		cmocka_unit_test(test_thinking_sent),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_custom_call),
		cmocka_unit_test(test_call_names),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_after_the_end),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_error_keeps_text),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_bad_events),
		cmocka_unit_test(test_nulls),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_event_names),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
