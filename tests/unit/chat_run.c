/* SPDX-License-Identifier: MIT */
/* A stream of Chat Completions and what must come of it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chat_run.h"

const struct run_of chat_api = { MODEL_API_CHAT, 0 };
const struct run_of chat_tags = { MODEL_API_CHAT, MODEL_QUIRK_THINK_TAGS };

void
chat_expect_of(struct run_of of, const char *text, const char *content)
{
	struct run run;

	run_text(&run, of, text);
	if (run.rc != 0)
		fail_msg("%s: %s", text, run.err.text);
	assert_string_equal(run.r->content.data, content);
	run_close(&run);
}

void
chat_expect(const char *text, const char *content)
{
	chat_expect_of(chat_api, text, content);
}

void
chat_expect_failure(
    const char *text, const char *type, const char *message, int retryable)
{
	struct run run;

	run_text(&run, chat_api, text);
	assert_int_equal(run.rc, -1);
	assert_true(run.r->failure.failed);
	assert_string_equal(run.r->failure.type, type);
	assert_string_equal(run.r->failure.message, message);
	assert_int_equal(run.r->failure.retryable, retryable);
	assert_int_equal(model_decode_feed(run.d, "x", 1, &run.err), -1);
	assert_int_equal(model_decode_finish(run.d, &run.err), -1);
	run_close(&run);
}
