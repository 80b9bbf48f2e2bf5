/* SPDX-License-Identifier: MIT */
/* Blocks of sessions that were recorded, and of messages made up. */
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
#include "base/json.h"
#include "session/transcript.h"
#include "session_run.h"

static struct arena *arena;

/* A transcript as clients get it: blocks, subagents, conversationState. */
static const struct json *
shape(struct transcript *t)
{
	const struct json *j;
	struct buf b;

	buf_init(&b, arena);
	json_open(&b, NULL, '{');
	transcript_add_blocks(&b, t, BLOCK_W1);
	transcript_add_subagents(&b, t, BLOCK_W1);
	transcript_add_state(&b, t);
	json_close(&b, '}');
	j = json_parse(arena, b.data, b.len, JSON_DEPTH_MAX, NULL);
	assert_non_null(j);
	return j;
}

/* "user_message assistant_text ...", and of what has a state that. */
static const char *
types(const struct json *blocks)
{
	struct buf b;

	buf_init(&b, arena);
	for (const struct json *k = json_first(blocks); k != NULL;
	     k = json_next(k)) {
		buf_printf(
		    &b, "%s%s", b.len > 0 ? " " : "", json_get_str(k, "type"));
		if (json_get_str(k, "status") != NULL)
			buf_printf(&b, ":%s", json_get_str(k, "status"));
	}
	return buf_str(&b);
}

static const struct json *
at(const struct json *list, int i)
{
	const struct json *j = json_first(list);

	while (i-- > 0)
		j = json_next(j);
	assert_non_null(j);
	return j;
}

static void
expect_str(const struct json *j, const char *name, const char *text)
{
	assert_non_null(json_get_str(j, name));
	assert_string_equal(json_get_str(j, name), text);
}

static void
expect_end(const struct json *j, const char *name, const char *end)
{
	const char *s = json_get_str(j, name);

	assert_non_null(s);
	assert_true(strlen(s) > strlen(end));
	assert_string_equal(s + strlen(s) - strlen(end), end);
}

static void
test_work(void **state)
{
	const struct json *j =
	    shape(session_transcript(arena, session_load(arena, "work")));
	const struct json *blocks = json_get(j, "blocks"), *sub;

	(void)state;
	assert_string_equal(types(blocks),
	    "user_message thinking assistant_text tool_use:success "
	    "tool_use:success tool_use:error tool_result tool_result "
	    "tool_result subagent:success thinking assistant_text");
	expect_str(at(blocks, 0), "content", "work");
	expect_end(at(blocks, 1), "id", "-1-thinking-0");
	expect_end(at(blocks, 2), "id", "-1-text-0");
	expect_str(at(blocks, 2), "content", "Let me see. And count. ");
	expect_str(at(blocks, 2), "model", "claude-sonnet-4-6");
	expect_str(at(blocks, 3), "toolName", "todo_read");
	expect_str(at(blocks, 4), "toolName", "task_run");
	assert_true(strlen(json_get_str(
			json_get(at(blocks, 4), "input"), "prompt")) > 200);
	expect_str(at(blocks, 9), "output", "There are two.");
	expect_str(
	    at(blocks, 9), "subagentId", json_get_str(at(blocks, 4), "id"));
	expect_end(at(blocks, 10), "id", "-2-thinking-0");
	expect_str(at(blocks, 11), "content", "It is done.");

	sub = at(json_get(j, "subagents"), 0);
	assert_int_equal(json_count(json_get(j, "subagents")), 1);
	expect_str(sub, "id", json_get_str(at(blocks, 4), "id"));
	assert_string_equal(types(json_get(sub, "blocks")),
	    "thinking tool_use:success tool_result assistant_text");
	j = json_get(j, "conversationState");
	assert_int_equal(json_count(json_get(j, "blocks")), 12);
	sub = at(json_get(j, "subagents"), 0);
	expect_str(sub, "status", "success");
	expect_str(sub, "output", "There are two.");
	assert_memory_equal(json_get_str(sub, "agentId"), "agt_", 4);
	assert_memory_equal(json_get_str(sub, "prompt"), "child one", 9);
	assert_int_equal(json_count(json_get(sub, "blocks")), 4);
}

/* The one that was refused at once, the end in the order in which they came.
 */
static void
test_order(void **state)
{
	const struct json *j =
	    shape(session_transcript(arena, session_load(arena, "ask")));
	const struct json *blocks = json_get(j, "blocks");

	(void)state;
	assert_string_equal(types(blocks),
	    "user_message assistant_text tool_use:success tool_use:success "
	    "tool_result tool_result assistant_text");
	expect_str(
	    at(blocks, 4), "toolUseId", json_get_str(at(blocks, 3), "id"));
	j = shape(session_transcript(arena, session_load(arena, "two")));
	assert_string_equal(types(json_get(j, "blocks")),
	    "user_message tool_use:success tool_use:success tool_result "
	    "subagent:success tool_result subagent:success assistant_text");
	assert_int_equal(json_count(json_get(j, "subagents")), 2);
}

static void
test_failures(void **state)
{
	const struct json *j =
	    shape(session_transcript(arena, session_load(arena, "file")));
	const struct json *blocks = json_get(j, "blocks");

	(void)state;
	assert_string_equal(types(blocks),
	    "user_message assistant_text tool_use:success tool_use:success "
	    "tool_result tool_result assistant_text user_message error "
	    "user_message error");
	expect_str(at(blocks, 10), "code", "STREAM_CUT");
	expect_str(
	    at(blocks, 10), "message", "the stream ended before message_stop");
}

/* All that was said, in its order, though most of it was summed up. */
static void
test_compacted(void **state)
{
	const struct json *doc = session_load(arena, "compact");
	const struct json *blocks =
	    json_get(shape(session_transcript(arena, doc)), "blocks");

	(void)state;
	assert_true(
	    json_count(json_get(session_agent(doc, json_get_str(doc, "agent")),
		"windows")) > 0);
	assert_int_equal(json_count(blocks), 16);
	for (int i = 0; i < 16; i += 2) {
		expect_str(at(blocks, i), "content",
		    arena_printf(arena, "say %d xxxxxxxxxxxxxxxxxxxx", i / 2));
		expect_end(at(blocks, i + 1), "id", "-1-text-0");
	}
}

/* ---- made up ---- */

#define HEAD(id) "{\"id\":\"" id "\",\"turn\":\"t\",\"time\":1,"

static const struct json *
blocks_of(struct transcript *t, const char *const *docs, size_t n)
{
	struct err err;

	assert_int_equal(transcript_add_messages(t, docs, n, &err), 0);
	return json_get(shape(t), "blocks");
}

/* Runs of a kind are one block; what is empty is none; without records the
 * messages tell; steps are counted where none is written. */
static void
test_old(void **state)
{
	static const char *const docs[] = {
		HEAD("m1") "\"role\":\"user\",\"content\":[{\"type\":\"text\","
			   "\"text\":\"go\"}]}",
		HEAD("m2") "\"role\":\"assistant\",\"content\":[{\"type\":"
			   "\"text\",\"text\":\"a\"},{\"type\":\"tool_use\","
			   "\"id\":\"c1\",\"name\":\"n\",\"input\":{\"a\":1}},"
			   "{\"type\":\"text\",\"text\":\"b\"},{\"type\":"
			   "\"thinking\",\"thinking\":\"\"},{\"type\":\"text\","
			   "\"text\":\"c\"},{\"type\":\"thinking\","
			   "\"thinking\":\"T\"},{\"type\":\"text\",\"text\":"
			   "\"d\"},{\"type\":\"tool_use\",\"id\":\"c2\","
			   "\"name\":\"n\",\"input\":{}}]}",
		HEAD("m3") "\"kind\":\"tool_results\",\"role\":\"user\","
			   "\"content\":[{\"type\":\"tool_result\","
			   "\"tool_use_id\":\"c1\",\"is_error\":true,"
			   "\"content\":\"no JSON\"},{\"type\":\"tool_result\","
			   "\"tool_use_id\":\"c2\",\"content\":\"{\\\"ok\\\":"
			   "true}\"}]}",
		HEAD("m4") "\"kind\":\"reminder\",\"role\":\"user\","
			   "\"content\":[{\"type\":\"text\",\"text\":\"r\"}]}",
		HEAD("m5") "\"role\":\"assistant\",\"content\":[{\"type\":"
			   "\"text\",\"text\":\"end\"}]}",
	};
	const struct json *blocks = blocks_of(transcript_new(arena), docs, 5);

	(void)state;
	assert_string_equal(types(blocks),
	    "user_message assistant_text thinking assistant_text "
	    "tool_use:error tool_use:success tool_result tool_result "
	    "assistant_text");
	expect_str(at(blocks, 1), "content", "abc");
	expect_str(at(blocks, 1), "id", "t-1-text-0");
	expect_str(at(blocks, 2), "id", "t-1-thinking-0");
	expect_str(at(blocks, 3), "id", "t-1-text-1");
	expect_str(at(blocks, 6), "output", "no JSON");
	assert_true(json_get_true(at(blocks, 6), "isError"));
	assert_true(json_get_true(json_get(at(blocks, 7), "output"), "ok"));
	expect_str(at(blocks, 8), "id", "t-2-text-0");
}

/* A call that runs has a block and no result; its message is not there yet. */
static void
test_running(void **state)
{
	static const char *const docs[] = {
		HEAD("m1") "\"step\":4,\"role\":\"assistant\",\"content\":[{"
			   "\"type\":\"text\",\"text\":\"a\"},{\"type\":"
			   "\"tool_use\",\"id\":\"c1\",\"name\":\"n\","
			   "\"input\":{}},{\"type\":\"tool_use\",\"id\":\"c2\","
			   "\"name\":\"n\",\"input\":{}}]}",
	};
	static const char *const calls[] = {
		"{\"id\":\"c1\",\"name\":\"n\",\"state\":\"EXECUTING\","
		"\"createdAt\":1,\"input\":{}}",
		"{\"id\":\"c2\",\"name\":\"n\",\"state\":\"SEALED\","
		"\"createdAt\":1,\"completedAt\":2,\"inputText\":\"{x\","
		"\"result\":{\"ok\":false}}",
	};
	struct transcript *t = transcript_new(arena);
	const struct json *blocks;
	struct err err;

	(void)state;
	assert_int_equal(transcript_add_calls(t, calls, 2, &err), 0);
	blocks = blocks_of(t, docs, 1);
	assert_string_equal(types(blocks),
	    "assistant_text tool_use:running tool_use:error tool_result");
	expect_str(at(blocks, 0), "id", "t-4-text-0");
	expect_str(json_get(at(blocks, 2), "input"), "inputText", "{x");
}

static void
test_damaged(void **state)
{
	static const char *const docs[] = { "", "[]", "{\"id\":1}",
		"{\"id\":", "{\"id\":\"a\"}" };
	struct transcript *t = transcript_new(arena);
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(docs) / sizeof(docs[0]); i++) {
		err_clear(&err);
		assert_int_equal(
		    transcript_add_messages(t, &docs[i], 1, &err), -1);
		assert_int_equal(err.code, ERR_STORE);
	}
	assert_int_equal(transcript_add_calls(t, docs, 4, &err), -1);
	assert_int_equal(json_count(json_get(shape(t), "blocks")), 0);
}

static int
setup(void **state)
{
	(void)state;
	arena = arena_open(65536);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_close(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_compacted),
		cmocka_unit_test(test_old),
		cmocka_unit_test(test_running),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
