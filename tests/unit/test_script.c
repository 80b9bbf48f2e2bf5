/* SPDX-License-Identifier: MIT */
/*
 * The model without a network, on a real loop: what each step comes to, that
 * nothing is said before start returns, and which files are refused.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "model/call.h"
#include "model/provider.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HANGS_MS 20000

/* A file with one scenario for everything. Quotes: see write_file. */
#define STEPS(s) "{'scenarios':[{'match':'','steps':[" s "]}]}"

/* The other row of the table in call.c, which needs curl. */
const struct model_engine engine_http;

static char path[] = "/tmp/test_script.XXXXXX";

static char none[] = "", script_name[] = "script", label[] = "default";

static struct conf conf = {
	.compact_model = none,
	.model = { .label = label,
	    .provider = script_name,
	    .url = none,
	    .api_key_file = none,
	    .headers = none,
	    .members = none,
	    .version = none,
	    .ca_file = none,
	    .proxy = none,
	    .effort = none,
	    .fallback = none },
};

struct run {
	struct loop *loop;
	struct models *models;
	struct model_request rq;
	struct buf messages;
	struct model_call *call;
	struct loop_timer *timer; /* cancels, or finds that it hangs */
	struct buf text, thinking;
	int deltas, ends;
	int64_t cancel_ms; /* 0: never */
	const char *until; /* cancels when this was said */
	int64_t took_ms;
	struct model_result *r;
};

/* ---- a call ---- */

static void
look(struct run *run, const struct buf *said)
{
	if (run->until == NULL || strstr(buf_str(said), run->until) == NULL)
		return;
	run->until = NULL;
	run->cancel_ms = 1;
	loop_timer_start(run->timer, 0, 0);
}

static void
sink_text(void *ctx, const char *text, size_t len)
{
	struct run *run = ctx;

	assert_non_null(run->call); /* start has returned */
	assert_int_equal(json_utf8_whole(text, len), len);
	buf_add(&run->text, text, len);
	run->deltas++;
	look(run, &run->text);
}

static void
sink_thinking(void *ctx, const char *text, size_t len)
{
	struct run *run = ctx;

	assert_non_null(run->call);
	buf_add(&run->thinking, text, len);
	look(run, &run->thinking);
}

static void
on_end(void *ctx, struct model_call *call)
{
	struct run *run = ctx;

	assert_ptr_equal(run->call, call);
	run->ends++;
	loop_stop(run->loop);
}

static void
on_timer(void *arg)
{
	struct run *run = arg;

	assert_int_not_equal(run->cancel_ms, 0); /* else it hangs */
	model_call_cancel(run->call);
	assert_int_equal(run->ends, 1);
}

/* With each ' as a ". */
static void
write_file(const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	for (; *text != '\0'; text++)
		fputc(*text == '\'' ? '"' : *text, f);
	fclose(f);
}

/* The models for a file with this in it; NULL: the built-in one. */
static void
run_open(struct run *run, const char *scenarios)
{
	static char name[] = "scripted";
	struct err err;

	memset(run, 0, sizeof(*run));
	if (scenarios != NULL)
		write_file(scenarios);
	conf.model.script = scenarios == NULL ? none : path;
	conf.model.id = name;
	run->loop = loop_new();
	run->models = models_new(run->loop, NULL, &conf, &err);
	if (run->models == NULL)
		fail_msg("%s", err.text);
	run->timer = loop_timer_new(run->loop, "test", on_timer, run);
}

static void
call_drop(struct run *run)
{
	model_call_free(&run->call);
	assert_null(run->call);
	buf_fini(&run->messages);
	buf_fini(&run->text);
	buf_fini(&run->thinking);
}

static void
run_close(struct run *run)
{
	call_drop(run);
	loop_timer_free(&run->timer);
	models_free(&run->models);
	loop_free(&run->loop);
}

/* Adds a message of the user, and an answer to the one before. */
static void
say(struct run *run, const char *text)
{
	struct buf *b = &run->messages;

	if (b->len == 0)
		buf_lit(b, "{\"messages\":[");
	else
		buf_lit(b, ",{\"role\":\"assistant\",\"content\":[{\"type\":"
			   "\"text\",\"text\":\"yes\"}]},");
	buf_lit(b,
	    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"");
	json_escape(b, text, strlen(text));
	buf_lit(b, "\"}]}");
}

static void
request_init(struct run *run)
{
	run->rq = (struct model_request){
		.model = models_find(run->models, ""),
		.tool_choice = "",
		.schema = "",
		.system = "",
		.request_id = "",
		.messages = &run->messages,
		.sink = { .text = sink_text, .thinking = sink_thinking },
		.on_end = on_end,
		.ctx = run,
	};
}

/* Plays it to its end. */
static struct model_result *
run_call(struct run *run)
{
	size_t len = run->messages.len;
	char *before = strdup(buf_str(&run->messages));

	request_init(run);
	run->ends = run->deltas = 0;
	run->call = NULL;
	run->took_ms = loop_now_ms(run->loop);
	loop_timer_start(
	    run->timer, run->cancel_ms > 0 ? run->cancel_ms : HANGS_MS, 0);
	run->call = model_call_start(&run->rq);
	assert_int_equal(run->ends, 0);
	loop_run(run->loop);
	loop_timer_stop(run->timer);
	run->took_ms = loop_now_ms(run->loop) - run->took_ms;
	assert_int_equal(run->ends, 1);
	assert_int_equal(run->messages.len, len);
	assert_string_equal(buf_str(&run->messages), before);
	free(before);
	run->r = model_call_result(run->call);
	return run->r;
}

static struct model_result *
run_one(struct run *run, const char *scenarios, const char *text)
{
	run_open(run, scenarios);
	say(run, text);
	return run_call(run);
}

static void
run_cancelled(struct run *run, const char *scenarios, int64_t ms)
{
	run_open(run, scenarios);
	say(run, "x");
	run->cancel_ms = ms;
	run_call(run);
	assert_int_equal(run->r->complete, 0);
	assert_int_equal(run->r->failure.failed, 0);
	assert_int_equal(run->r->stop, MODEL_STOP_NONE);
}

static void
assert_content(const struct run *run, const char *content)
{
	assert_string_equal(buf_str(&run->r->content), content);
}

static void
assert_failed(
    const struct run *run, const char *type, int retryable, const char *message)
{
	const struct model_failure *f = &run->r->failure;

	assert_int_equal(f->failed, 1);
	assert_string_equal(f->type, type);
	assert_int_equal(f->retryable, retryable);
	assert_string_equal(f->message, message);
	assert_int_equal(run->r->complete, 0);
}

/* ---- calls ---- */

static void
test_calls(void **state)
{
	static const char results[] =
	    ",{\"role\":\"assistant\",\"content\":[]},"
	    "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
	    "\"tool_use_id\":\"a\",\"content\":\"one\"},"
	    "{\"type\":\"tool_result\",\"tool_use_id\":\"b\",\"content\":"
	    "[{\"type\":\"text\",\"text\":\"two\"}]}]}";
	struct run run;

	(void)state;
	run_one(&run,
	    "{'scenarios':[{'match':'^do (.*)$','round':0,'steps':"
	    "[{'text':'so'},{'call':'f','input':{'a':'${1}','b':['${count}',"
	    "7,null]}},{'call':'g'}]},"
	    "{'match':'','steps':[{'text':'${last}: ${results}'}]}]}",
	    "do \"it\"");
	assert_int_equal(run.r->stop, MODEL_STOP_TOOL_CALLS);
	assert_content(&run,
	    "[{\"type\":\"text\",\"text\":\"so\"},"
	    "{\"type\":\"tool_use\",\"id\":\"toolu_00000001_1\","
	    "\"name\":\"f\",\"input\":{\"a\":\"\\\"it\\\"\","
	    "\"b\":[\"1\",7,null]}},"
	    "{\"type\":\"tool_use\",\"id\":\"toolu_00000001_2\","
	    "\"name\":\"g\",\"input\":{}}]");
	model_call_free(&run.call);
	buf_clear(&run.text);
	buf_lit(&run.messages, results);
	run_call(&run);
	assert_string_equal(buf_str(&run.text), "do \"it\": one\ntwo");
	run_close(&run);
}

/* ---- answers ---- */

static void
test_echo(void **state)
{
	struct run run;
	struct model_result *r =
	    run_one(&run, "{'scenarios':[]}", "so \"it\" \xc3\xbc\n is");

	(void)state;
	assert_string_equal(
	    buf_str(&run.text), "echo: so \"it\" \xc3\xbc\n is");
	assert_int_equal(run.deltas, 5);
	assert_content(&run, "[{\"type\":\"text\",\"text\":\"echo: so "
			     "\\\"it\\\" \xc3\xbc\\n is\"}]");
	assert_int_equal(r->complete, 1);
	assert_int_equal(r->failure.failed, 0);
	assert_int_equal(r->stop, MODEL_STOP_STOP);
	assert_string_equal(r->stop_raw, "end_turn");
	assert_string_equal(r->model, "scripted");
	assert_string_equal(r->response_id, "msg_00000001");
	assert_int_equal(r->usage.input, run.messages.len / 4);
	assert_int_equal(r->usage.output, 5);
	assert_int_equal(r->usage.cached, 0);
	run_close(&run);

	/* What was put in is not looked at again. */
	run_one(&run, "{'scenarios':[]}", "${count} ${words:5}");
	assert_string_equal(buf_str(&run.text), "echo: ${count} ${words:5}");
	run_close(&run);
}

static void
test_by(void **state)
{
	struct run run;

	(void)state;
	run_one(&run,
	    STEPS("{'text':' a b\\n'},"
		  "{'text':'c d ','by':'whole'},"
		  "{'text':'\xc3\xa4\xe2\x82\xac!','by':'char'},"
		  "{'text':''},{'split':3},{'ping':true},{'wait_ms':0},"
		  "{'stop_reason':'max_tokens'}"),
	    "x");
	assert_string_equal(
	    buf_str(&run.text), " a b\nc d \xc3\xa4\xe2\x82\xac!");
	assert_int_equal(run.deltas, 6);
	assert_int_equal(run.r->blocks, 1);
	assert_int_equal(run.r->stop, MODEL_STOP_LENGTH);
	run_close(&run);
}

static void
test_expand(void **state)
{
	static const char *const cases[][2] = {
		{ "${0}|${1}|${2}|${3}", "ab 12|ab|12|${3}" },
		{ "${words:3}.", "w1 w2 w3 ." },
		{ "${words:${2}}", "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 " },
		{ "${words:9999999} ${words:}", "${words:9999999} ${words:}" },
		{ "${", "${" },
		{ "${${${${${${${${${${${${", "${${${${${${${${${${${${" },
		{ "${no ${last}}", "${no ab 12}" },
		{ "$} {last} ${count}", "$} {last} 1" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct run run;
		struct buf b;

		buf_init(&b, NULL);
		buf_printf(&b,
		    "{'scenarios':[{'match':'^([a-z]+) ([0-9]+)$',"
		    "'steps':[{'text':'%s'}]}]}",
		    cases[i][0]);
		run_one(&run, b.data, "ab 12");
		assert_string_equal(buf_str(&run.text), cases[i][1]);
		run_close(&run);
		buf_fini(&b);
	}
}

static void
test_pace(void **state)
{
	struct run run;

	(void)state;
	run_one(&run,
	    STEPS("{'text':'${words:5}','pace_ms':20},{'wait_ms':30}"), "x");
	assert_int_equal(run.deltas, 5);
	assert_in_range(run.took_ms, 105, 2000);
	run_close(&run);

	/* More than is said at once: others have their turn in between. */
	run_one(&run, STEPS("{'text':'${words:2000}'}"), "x");
	assert_int_equal(run.deltas, 2000);
	assert_int_equal(run.r->usage.output, 2000);
	run_close(&run);
}

static void
test_thinking(void **state)
{
	struct run run;

	(void)state;
	run_one(&run,
	    "{'scenarios':[{'match':'^think (.*)$','steps':["
	    "{'thinking':'unsigned'},"
	    "{'thinking':'about ${1} ','signature':'c2ln'},"
	    "{'text':'done'}]}]}",
	    "think it over");
	assert_string_equal(buf_str(&run.thinking), "unsignedabout it over ");
	assert_content(&run,
	    "[{\"type\":\"thinking\",\"thinking\":\"about it over \","
	    "\"signature\":\"c2ln\"},{\"type\":\"text\",\"text\":\"done\"}]");
	run_close(&run);
}

static void
test_usage(void **state)
{
	struct run run;
	const struct model_usage *u;

	(void)state;
	run_one(&run,
	    STEPS("{'usage':{'input_tokens':10,'cache_read_input_tokens':5}},"
		  "{'text':'a b'},"
		  "{'usage':{'input_tokens':20,'output_tokens':7,"
		  "'output_tokens_details':{'thinking_tokens':3}}}"),
	    "x");
	u = &run.r->usage;
	assert_int_equal(u->input, 25);
	assert_int_equal(u->cached, 5);
	assert_int_equal(u->output, 7);
	assert_int_equal(u->reasoning, 3);
	run_close(&run);
}

/* ---- the conversation ---- */

static void
test_memory(void **state)
{
	static const char scenarios[] =
	    "{'scenarios':["
	    "{'match':'','count':'first','steps':[{'text':'new: ${last}'}]},"
	    "{'match':'^b','count':'later',"
	    "'steps':[{'text':'${count}, ${first}, ${last}'}]}]}";
	struct run run;

	(void)state;
	run_one(&run, scenarios, "a");
	assert_string_equal(buf_str(&run.text), "new: a");
	call_drop(&run);
	say(&run, "a");
	say(&run, "c");
	say(&run, "b");
	run_call(&run);
	assert_string_equal(buf_str(&run.text), "3, a, b");
	call_drop(&run);
	say(&run, "a");
	say(&run, "c");
	run_call(&run);
	assert_string_equal(buf_str(&run.text), "echo: c");
	run_close(&run);
}

/* Blocks that are no text, content that is a string, and nothing at all. */
static void
test_conversation_forms(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"role\":\"user\",\"content\":\"plain\"},{\"role\":"
		  "\"assistant\",\"content\":\"no\"},{\"role\":\"user\","
		  "\"content\":[{\"type\":\"text\",\"text\":\"end\"},{\"type\":"
		  "\"image\",\"text\":\"no\"}]}",
		    "2 plain end" },
		{ "{\"role\":\"user\",\"content\":[]}", "1  " },
		{ "", "0  " },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct run run;

		run_open(&run, STEPS("{'text':'${count} ${first} ${last}'}"));
		buf_printf(&run.messages, "{\"messages\":[%s", cases[i][0]);
		run_call(&run);
		assert_string_equal(buf_str(&run.text), cases[i][1]);
		run_close(&run);
	}
}

static void
test_conversation_broken(void **state)
{
	struct run run;

	(void)state;
	run_open(&run, NULL);
	buf_puts(&run.messages, "{\"messages\":[{");
	run_call(&run);
	assert_true(run.r->failure.failed);
	assert_string_equal(run.r->failure.type, "invalid_request_error");
	assert_false(run.r->failure.retryable);
	run_close(&run);
}

/* Plays the built-in one until it has said that. */
static void
hear(struct run *run, const char *text, const char *until)
{
	say(run, text);
	run->until = until;
	run->cancel_ms = 0;
	run_call(run);
	assert_null(run->until);
	assert_int_equal(run->r->failure.failed, 0);
}

static void
test_builtin(void **state)
{
	struct run run;

	(void)state;
	run_one(&run, NULL, "slow 3");
	assert_string_equal(buf_str(&run.text), "w1 w2 w3 ");
	call_drop(&run);
	hear(&run, "help", "slow 100");
	call_drop(&run);
	hear(&run, "think of me", "about “of me”");
	call_drop(&run);
	hear(&run, "blue", "You said: “blue”");
	call_drop(&run);
	say(&run, "blue");
	hear(&run, "red", "now you say: “red”");
	assert_ptr_equal(
	    strstr(buf_str(&run.text),
		"That is message 2. The first thing you told me was: “blue”"),
	    run.text.data);
	run_close(&run);
}

/* ---- stopped ---- */

static void
test_cancel(void **state)
{
	struct run run;
	size_t len;

	(void)state;
	run_cancelled(&run,
	    STEPS("{'thinking':'hm ','signature':'s'},"
		  "{'text':'${words:1000}','pace_ms':30}"),
	    100);
	assert_in_range(run.deltas, 1, 5);
	assert_in_range(run.took_ms, 99, 2000);
	assert_int_equal(run.r->usage.output, run.deltas + 1);
	assert_int_equal(run.r->blocks, 2);
	len = run.r->content.len;
	assert_memory_equal(run.r->content.data + len - 4, " \"}]", 4);
	assert_non_null(strstr(run.r->content.data, buf_str(&run.text)));
	model_call_cancel(run.call); /* once is enough */
	assert_int_equal(run.ends, 1);
	run_close(&run);
}

/* Thinking has no signature then, and cannot be sent back; text can. */
static void
test_cancel_open(void **state)
{
	struct run run;

	(void)state;
	run_cancelled(&run,
	    STEPS("{'thinking':'${words:1000}','signature':'s','pace_ms':30}"),
	    50);
	assert_string_not_equal(buf_str(&run.thinking), "");
	assert_content(&run, "[]");
	run_close(&run);
	run_cancelled(
	    &run, STEPS("{'text':'so far'},{'stall':true},{'text':'no'}"), 50);
	assert_content(&run, "[{\"type\":\"text\",\"text\":\"so far\"}]");
	run_close(&run);
}

/* Before anything was said. */
static void
test_cancel_at_once(void **state)
{
	struct run run;

	(void)state;
	run_open(&run, "{'scenarios':[]}");
	say(&run, "x");
	request_init(&run);
	run.call = model_call_start(&run.rq);
	model_call_cancel(run.call);
	assert_int_equal(run.ends, 1);
	run.r = model_call_result(run.call);
	assert_content(&run, "[]");
	assert_int_equal(run.deltas, 0);
	run_close(&run);
}

/* ---- failures ---- */

static void
test_error(void **state)
{
	struct run run;

	(void)state;
	run_one(&run,
	    STEPS("{'text':'a b'},{'error':{'type':'overloaded_error',"
		  "'message':'no ${last}'}},{'text':'no'}"),
	    "x");
	assert_failed(&run, "overloaded_error", 1, "no x");
	assert_int_equal(run.r->stop, MODEL_STOP_ERROR);
	assert_content(&run, "[{\"type\":\"text\",\"text\":\"a b\"}]");
	run_close(&run);
	run_one(&run,
	    STEPS("{'error':{'type':'invalid_request_error','message':'m'}}"),
	    "x");
	assert_failed(&run, "invalid_request_error", 0, "m");
	run_close(&run);
}

static void
test_cut(void **state)
{
	static const char *const how[] = {
		STEPS("{'text':'a'},{'cut':true}"),
		STEPS("{'text':'a'},{'reset':true}"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(how); i++) {
		struct run run;

		run_one(&run, how[i], "x");
		assert_failed(&run, "stream_cut", 1,
		    "the stream ended before message_stop");
		assert_content(&run, "[{\"type\":\"text\",\"text\":\"a\"}]");
		run_close(&run);
	}
}

static void
test_garbage(void **state)
{
#define AROUND(s) STEPS("{'text':'a'},{'garbage':'" s "'},{'text':'no'}")
	static const char *const what[] = {
		AROUND("data: {broken\\n\\n"),
		AROUND("data: \xc3\xbf\\n\\n"),
		AROUND("data: {"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(what); i++) {
		struct run run;

		run_one(&run, what[i], "x");
		assert_string_equal(run.r->failure.type, "bad_event");
		assert_int_equal(run.r->failure.retryable, 1);
		assert_string_equal(buf_str(&run.text), "a");
		run_close(&run);
	}
}

static void
test_status(void **state)
{
	struct run run;

	(void)state;
	run_one(&run,
	    STEPS("{'wait_ms':1},{'status':429,'headers':{'Retry-After':2},"
		  "'body':{'type':'error','error':"
		  "{'type':'rate_limit_error','message':'slow down'}}},"
		  "{'text':'no'}"),
	    "x");
	assert_failed(&run, "rate_limit_error", 1, "slow down");
	assert_int_equal(run.r->failure.retry_after_ms, 2000);
	assert_int_equal(run.deltas, 0);
	run_close(&run);
	run_one(&run, STEPS("{'status':529}"), "x");
	assert_failed(&run, "overloaded_error", 1, "scripted 529");
	run_close(&run);
	run_one(&run,
	    STEPS("{'status':503,'headers':{'x-should-retry':'false'},"
		  "'body':'gone, ${last}'}"),
	    "x");
	assert_failed(&run, "", 0, "gone, x");
	run_close(&run);
}

static void
test_status_over(void **state)
{
	struct run run;

	(void)state;
	run_open(&run, "{'scenarios':[{'match':'','steps':["
		       "{'status':400,'over':200},{'text':'ok'}]}]}");
	say(&run, "a short one");
	run_call(&run);
	assert_string_equal(buf_str(&run.text), "ok");
	call_drop(&run);
	say(&run,
	    "a long one, a long one, a long one, a long one, a long one, a "
	    "long one, a long one, a long one, a long one, a long one, a long "
	    "one, a long one, a long one, a long one, a long one, a long one");
	run_call(&run);
	assert_failed(&run, "invalid_request_error", 0, "scripted 400");
	assert_string_equal(run.r->failure.request_id, "req_00000002");
	run_close(&run);
}

/* Counted per conversation: a retry gets further, another starts anew. */
static void
test_status_times(void **state)
{
	static const char *const types[] = { "overloaded_error",
		"overloaded_error", "api_error", "" };
	struct run run;

	(void)state;
	run_open(&run, "{'scenarios':[{'match':'^flaky ([0-9]+)$','steps':["
		       "{'status':529,'times':'${1}'},{'status':500,'times':1},"
		       "{'text':'ok'}]}]}");
	for (int i = 0; i < 4; i++) {
		say(&run, "flaky 2");
		run_call(&run);
		assert_string_equal(run.r->failure.type, types[i]);
		assert_string_equal(buf_str(&run.text), i < 3 ? "" : "ok");
		call_drop(&run);
	}
	say(&run, "flaky 1");
	run_call(&run);
	assert_failed(&run, "overloaded_error", 1, "scripted 529");
	run_close(&run);
}

/* ---- files ---- */

static void
test_bad_files(void **state)
{
	static const char *const cases[][2] = {
		{ "{", "not valid JSON" },
		{ "[]", "{\"scenarios\": [...]}" },
		{ "{'scenarios':[],'x':1}", "{\"scenarios\": [...]}" },
		{ "{'scenarios':[1]}", "scenario 1: it must be an object" },
		{ "{'scenarios':[{'match':'a(','steps':[]}]}",
		    "scenario 1: match is no POSIX extended regex: " },
		{ "{'scenarios':[{'steps':[]}]}", "match must be" },
		{ "{'scenarios':[{'match':''}]}", "steps must be" },
		{ "{'scenarios':[{'match':'','stpes':[]}]}",
		    "no member \"stpes\"" },
		{ "{'scenarios':[{'match':'','steps':[],'count':1}]}",
		    "count must be" },
		{ STEPS("1"), "scenario 1: step 1: it must be an object" },
		{ STEPS("{}"), "exactly one of text" },
		{ STEPS("{'text':'','cut':true}"), "exactly one of" },
		{ STEPS("{'text':'','pace':1}"), "no member \"pace\"" },
		{ STEPS("{'text':''},{'text':'','times':1}"),
		    "step 2: times does not go with text" },
		{ STEPS("{'text':'','pace_ms':-1}"), "pace_ms must be" },
		{ STEPS("{'text':'','by':'line'}"), "by must be" },
		{ STEPS("{'cut':false}"), "cut must be true" },
		{ STEPS("{'error':{'type':'x'}}"), "error must be" },
		{ STEPS("{'garbage':'\xe2\x82\xac'}"), "U+00FF" },
		{ STEPS("{'status':200}"), "status must be 400 to 599" },
		{ STEPS("{'ping':true},{'status':500}"),
		    "step 2: a status must stand before" },
	};
	struct loop *l = loop_new();

	(void)state;
	conf.model.script = path;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = { 0 };

		write_file(cases[i][0]);
		assert_null(models_new(l, NULL, &conf, &err));
		assert_int_equal(err.code, ERR_CONFIG);
		assert_ptr_equal(
		    strstr(err.text, "model.script /tmp/test"), err.text);
		if (strstr(err.text, cases[i][1]) == NULL)
			fail_msg("%s: %s", cases[i][0], err.text);
	}
	loop_free(&l);
}

static void
test_no_file(void **state)
{
	static char gone[] = "/nonexistent/scenarios.json", dir[] = "/tmp";
	struct loop *l = loop_new();
	struct err err = { 0 };

	(void)state;
	conf.model.script = gone;
	assert_null(models_new(l, NULL, &conf, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.text,
	    "model.script /nonexistent/scenarios.json: No such file "
	    "or directory");
	conf.model.script = dir;
	assert_null(models_new(l, NULL, &conf, &err));
	assert_string_equal(err.text, "model.script /tmp: Is a directory");
	loop_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_by),
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_thinking),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_conversation_forms),
		cmocka_unit_test(test_conversation_broken),
		cmocka_unit_test(test_builtin),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_open),
		cmocka_unit_test(test_cancel_at_once),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_status_over),
		cmocka_unit_test(test_status_times),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_no_file),
	};
	int fd = mkstemp(path), rc;

	if (fd < 0)
		return 1;
	close(fd);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return rc;
}
