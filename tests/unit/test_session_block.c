/* SPDX-License-Identifier: MIT */
/* Blocks and states of sessions, byte by byte. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "session/block.h"
#include "session/runtime.h"

#define TIME INT64_C(1795188805493)
#define STAMP "\"timestamp\":\"2026-11-20T15:33:25.493Z\""

static struct arena *arena;

static const struct json *
parse(const char *text)
{
	const struct json *j =
	    json_parse(arena, text, strlen(text), JSON_DEPTH_MAX, NULL);

	assert_non_null(j);
	return j;
}

static void
expect(const struct block *k, enum block_form form, const char *text)
{
	struct buf b;

	buf_init(&b, arena);
	block_write(&b, NULL, k, form);
	assert_string_equal(buf_str(&b), text);
}

static void
test_user_message(void **state)
{
	static const struct {
		const char *stored, *content;
	} rows[] = {
		{ "[{\"type\":\"text\",\"text\":\"hi there\"}]",
		    "\"hi there\"" },
		{ "[{\"type\":\"text\",\"text\":\"\"}]", "\"\"" },
		{ "[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image\","
		  "\"source\":{\"type\":\"base64\",\"media_type\":\"image/"
		  "png\",\"data\":\"aGk=\"}}]",
		    "[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image\","
		    "\"source\":{\"type\":\"base64\",\"data\":\"aGk=\","
		    "\"mediaType\":\"image/png\"}}]" },
		{ "[{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":"
		  "\"https://e.org/a\"}}]",
		    "[{\"type\":\"image\",\"source\":{\"type\":\"url\","
		    "\"data\":\"https://e.org/a\"}}]" },
		{ "[{\"type\":\"document\",\"title\":\"Plan\",\"source\":{"
		  "\"type\":\"file\",\"file_id\":\"f\"}},{\"type\":\"image\","
		  "\"source\":{\"type\":\"file\",\"file_id\":\"g\"}}]",
		    "[{\"type\":\"text\",\"text\":\"[document: Plan]\"},"
		    "{\"type\":\"text\",\"text\":\"[image]\"}]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct block k = block_make(BLOCK_USER_MESSAGE, "msg_1", TIME);

		k.content = parse(rows[i].stored);
		expect(&k, BLOCK_W1,
		    arena_printf(arena,
			"{\"id\":\"msg_1\",\"type\":\"user_message\","
			"\"content\":%s," STAMP "}",
			rows[i].content));
		expect(&k, BLOCK_W3,
		    arena_printf(arena,
			"{\"id\":\"msg_1\",\"type\":\"user_message\","
			"\"content\":%s,\"status\":\"complete\"," STAMP "}",
			rows[i].content));
	}
}

static void
test_texts(void **state)
{
	struct block k = block_make(BLOCK_ASSISTANT_TEXT, "t-1-text-0", TIME);

	(void)state;
	k.status = BLOCK_PENDING;
	expect(&k, BLOCK_W1,
	    "{\"id\":\"t-1-text-0\",\"type\":\"assistant_text\",\"content\":"
	    "\"\"," STAMP "}");
	k.text = "Hello";
	k.text_len = 5;
	k.model = "claude-x";
	expect(&k, BLOCK_W3,
	    "{\"id\":\"t-1-text-0\",\"type\":\"assistant_text\",\"content\":"
	    "\"Hello\",\"model\":\"claude-x\",\"status\":\"pending\"," STAMP
	    "}");
	k = block_make(BLOCK_THINKING, "x", TIME);
	k.text = "a\"b";
	k.text_len = 3;
	expect(&k, BLOCK_W1,
	    "{\"id\":\"x\",\"type\":\"thinking\",\"content\":\"a\\\"b\"," STAMP
	    "}");
	k = block_make(BLOCK_ERROR, "msg_2", TIME);
	k.text = "no";
	k.text_len = 2;
	k.code = "BAD";
	expect(&k, BLOCK_W1,
	    "{\"id\":\"msg_2\",\"type\":\"error\",\"message\":\"no\",\"code\":"
	    "\"BAD\"," STAMP "}");
	k = block_make(BLOCK_SYSTEM, "s", 0);
	k.name = "status";
	k.text = "up";
	k.text_len = 2;
	expect(&k, BLOCK_W1,
	    "{\"id\":\"s\",\"type\":\"system\",\"subtype\":\"status\","
	    "\"message\":\"up\",\"timestamp\":\"1970-01-01T00:00:00.000Z\"}");
}

static void
test_calls(void **state)
{
	struct block k = block_make(BLOCK_TOOL_USE, "call_1", TIME);

	(void)state;
	k.name = "fs_read";
	k.status = BLOCK_PENDING;
	expect(&k, BLOCK_W1,
	    "{\"id\":\"call_1\",\"type\":\"tool_use\",\"toolName\":\"fs_read\","
	    "\"toolUseId\":\"call_1\",\"input\":{},\"status\":"
	    "\"pending\"," STAMP "}");
	k.input = parse("{\"path\":\"a\"}");
	k.status = BLOCK_RUNNING;
	expect(&k, BLOCK_W3,
	    "{\"id\":\"call_1\",\"type\":\"tool_use\",\"toolName\":\"fs_read\","
	    "\"toolUseId\":\"call_1\",\"input\":{\"path\":\"a\"},\"status\":"
	    "\"complete\"," STAMP "}");
	k = block_make(BLOCK_TOOL_RESULT, "call_1-result", TIME);
	k.call = "call_1";
	expect(&k, BLOCK_W1,
	    "{\"id\":\"call_1-result\",\"type\":\"tool_result\",\"toolUseId\":"
	    "\"call_1\",\"output\":null,\"isError\":false," STAMP "}");
	k.output = parse("{\"ok\":false}");
	k.is_error = 1;
	k.duration_ms = 0;
	expect(&k, BLOCK_W1,
	    "{\"id\":\"call_1-result\",\"type\":\"tool_result\",\"toolUseId\":"
	    "\"call_1\",\"output\":{\"ok\":false},\"isError\":true,"
	    "\"durationMs\":0," STAMP "}");
	k = block_make(BLOCK_SUBAGENT, "subagent-block-call_1", TIME);
	k.agent = "call_1";
	k.call = "call_1";
	k.input = parse("{\"prompt\":\"go\"}");
	k.status = BLOCK_FAILED;
	k.duration_ms = 7;
	expect(&k, BLOCK_W1,
	    "{\"id\":\"subagent-block-call_1\",\"type\":\"subagent\","
	    "\"subagentId\":\"call_1\",\"input\":{\"prompt\":\"go\"},"
	    "\"durationMs\":7,\"toolUseId\":\"call_1\",\"status\":"
	    "\"error\"," STAMP "}");
}

static void
test_ids(void **state)
{
	char id[BLOCK_ID_SIZE];

	(void)state;
	block_id_answer(id, "trn_1", 3, BLOCK_THINKING, 0);
	assert_string_equal(id, "trn_1-3-thinking-0");
	block_id_answer(id, "trn_1", 3, BLOCK_ASSISTANT_TEXT, 2);
	assert_string_equal(id, "trn_1-3-text-2");
	block_id_result(id, "call_1");
	assert_string_equal(id, "call_1-result");
	block_id_subagent(id, "call_1");
	assert_string_equal(id, "subagent-block-call_1");
}

static void
expect_runtime(const struct session_runtime *r, const char *text)
{
	struct session_runtime again;
	struct buf b;

	buf_init(&b, arena);
	session_runtime_write(&b, NULL, r);
	assert_string_equal(buf_str(&b), text);
	/* And read again it is the same. */
	session_runtime_read(
	    json_parse(arena, b.data, b.len, JSON_DEPTH_MAX, NULL), &again);
	buf_init(&b, arena);
	session_runtime_write(&b, NULL, &again);
	assert_string_equal(buf_str(&b), text);
}

static void
test_runtime(void **state)
{
	struct session_runtime r = { 0 };

	(void)state;
	expect_runtime(&r, "{\"isLoaded\":false,\"sandbox\":null,"
			   "\"executionEnvironment\":null}");
	r = (struct session_runtime){ .loaded = 1,
		.env = SESSION_ENV_STARTING,
		.env_message = "Preparing...",
		.env_checked_ms = 5,
		.query_ms = 4 };
	expect_runtime(&r,
	    "{\"isLoaded\":true,\"sandbox\":{\"status\":\"starting\","
	    "\"statusMessage\":\"Preparing...\",\"restartCount\":0,"
	    "\"lastHealthCheck\":5},\"executionEnvironment\":{\"status\":"
	    "\"starting\",\"statusMessage\":\"Preparing...\",\"restartCount\":"
	    "0,\"lastHealthCheck\":5},\"activeQuery\":{\"startedAt\":4}}");
	r = (struct session_runtime){
		.loaded = 1, .env = SESSION_ENV_FAILED, .env_id = "sb-1"
	};
	expect_runtime(&r,
	    "{\"isLoaded\":true,\"sandbox\":{\"sandboxId\":\"sb-1\",\"status\":"
	    "\"unhealthy\",\"restartCount\":0,\"lastHealthCheck\":0},"
	    "\"executionEnvironment\":{\"id\":\"sb-1\",\"status\":\"error\","
	    "\"restartCount\":0,\"lastHealthCheck\":0}}");
}

static int
setup(void **state)
{
	(void)state;
	arena = arena_open(4096);
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
		cmocka_unit_test(test_user_message),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_runtime),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
