/* SPDX-License-Identifier: MIT */
/*
 * What providers say when they fail: every recorded error and every shape of
 * one has its class, and of that whether and when to ask again; no key is in
 * what people read.
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

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "decode_run.h"
#include "model/complaint.h"
#include "model/hide.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define C(name) MODEL_CLASS_##name

static void
decode(struct model_failure *f, int status, const char *body)
{
	struct model_reply reply = {
		.status = status, .body = body, .len = strlen(body)
	};

	model_error_decode(&reply, f);
}

#define expect_class(f, expected)                                              \
	assert_string_equal(                                                   \
	    model_class_name((f)->kind), model_class_name(expected))

/* ---- recorded ---- */

/* The first part of a path that fits; a file that is not known yet must at
 * least have the class of its status. */
static const struct {
	const char *part;
	enum model_class kind;
} recorded[] = {
	{ "context_length", C(CONTEXT_LENGTH) },
	{ "context_size", C(CONTEXT_LENGTH) },
	{ "too_long", C(CONTEXT_LENGTH) },
	{ "api_key_invalid", C(AUTH) },
	{ "quota", C(QUOTA) },
	{ "billing", C(QUOTA) },
	{ "overload", C(OVERLOAD) },
	{ "/400-", C(INVALID_REQUEST) },
	{ "/401-", C(AUTH) },
	{ "/402-", C(QUOTA) },
	{ "/403-", C(AUTH) },
	{ "/404-", C(INVALID_REQUEST) },
	{ "/413-", C(CONTEXT_LENGTH) },
	{ "/422-", C(INVALID_REQUEST) },
	{ "/429-", C(RATE_LIMIT) },
	{ "/500-", C(SERVER) },
	{ "/503-", C(OVERLOAD) },
	{ "/529-", C(OVERLOAD) },
};

static enum model_class
class_of_path(const char *path)
{
	for (size_t i = 0; i < COUNT(recorded); i++)
		if (strstr(path, recorded[i].part) != NULL)
			return recorded[i].kind;
	fail_msg("%s: no class is known for it", path);
	return MODEL_CLASS_NONE;
}

static void
case_recorded(const char *path)
{
	const char *tail = strstr(path, "/errors/");
	int status = atoi(strrchr(path, '/') + 1);
	enum model_class kind = class_of_path(tail);
	struct model_failure f;
	struct buf body;

	file_read(&body, path);
	decode(&f, status, buf_str(&body));
	if (f.kind != kind)
		fail_msg("%s: %s is not %s", tail, model_class_name(f.kind),
		    model_class_name(kind));
	assert_true(f.failed);
	assert_int_equal(f.retryable, status == 429 || status >= 500);
	assert_int_equal(f.rejected,
	    status == 400 &&
		(kind == C(INVALID_REQUEST) || kind == C(CONTEXT_LENGTH)));
	assert_true(strlen(f.message) > 10 || strchr(f.message, '$') != NULL);
	assert_null(strchr(f.message, '{'));
	buf_fini(&body);
}

static void
test_recorded(void **state)
{
	glob_t g;

	(void)state;
	glob_or_skip("errors/*/*.json", 0, &g);
	for (size_t i = 0; i < g.gl_pathc; i++)
		case_recorded(g.gl_pathv[i]);
	print_message("%zu recorded errors\n", g.gl_pathc);
	assert_true(g.gl_pathc >= 19);
	globfree(&g);
}

/* Their words say as much inside a stream, without a status. */
static void
test_recorded_in_stream(void **state)
{
	struct arena *a = arena_open(4096);
	struct complaint c;
	struct buf body;
	glob_t g;

	(void)state;
	glob_or_skip("errors/*/*.json", 0, &g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		const char *path = g.gl_pathv[i];
		enum model_class kind = class_of_path(strstr(path, "/errors/"));
		struct model_failure f = { 0 };

		file_read(&body, path);
		complaint_read(
		    json_parse(a, body.data, body.len, JSON_DEPTH_MAX, NULL),
		    &c);
		complaint_fill(&c, &f);
		complaint_judge(&c, 0, &f);
		if (f.kind != kind)
			fail_msg("%s: %s", path, model_class_name(f.kind));
		buf_fini(&body);
	}
	globfree(&g);
	arena_close(&a);
}

/* ---- classes ---- */

#define E(members) "{\"error\":{" members "}}"
#define MESSAGE(text) E("\"message\":\"" text "\"")

/* status 0: inside a stream. */
static const struct {
	int status;
	const char *body;
	enum model_class kind;
} cases_[] = {
	/* Statuses alone */
	{ 400, "", C(INVALID_REQUEST) },
	{ 401, "", C(AUTH) },
	{ 402, "", C(QUOTA) },
	{ 403, "", C(AUTH) },
	{ 404, "", C(INVALID_REQUEST) },
	{ 405, "", C(INVALID_REQUEST) },
	{ 408, "", C(TIMEOUT) },
	{ 409, "", C(SERVER) },
	{ 413, "<html><title>413 Too Large</title>", C(CONTEXT_LENGTH) },
	{ 422, "{\"detail\":\"No.\"}", C(INVALID_REQUEST) },
	{ 429, "", C(RATE_LIMIT) },
	{ 498, "", C(OVERLOAD) },
	{ 500, "", C(SERVER) },
	{ 502, "<html>", C(SERVER) },
	{ 503, "", C(OVERLOAD) },
	{ 504, "", C(TIMEOUT) },
	{ 529, "", C(OVERLOAD) },
	{ 599, "", C(SERVER) },
	{ 302, "", C(INVALID_REQUEST) },

	/* Words that say more than the status */
	{ 400,
	    E("\"type\":\"invalid_request_error\",\"code\":"
	      "\"context_length_exceeded\",\"message\":\"m\""),
	    C(CONTEXT_LENGTH) },
	{ 400, E("\"code\":400,\"type\":\"exceed_context_size_error\""),
	    C(CONTEXT_LENGTH) },
	{ 413, E("\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\""),
	    C(CONTEXT_LENGTH) },
	{ 429, E("\"type\":\"insufficient_quota\""), C(QUOTA) },
	{ 429, E("\"code\":\"insufficient_quota\""), C(QUOTA) },
	{ 429,
	    E("\"type\":\"rate_limit_error\",\"details\":{\"error_code\":"
	      "\"enforced_spend_limit_reached\"}"),
	    C(QUOTA) },
	{ 400, E("\"code\":\"Arrearage\",\"type\":\"Arrearage\""), C(QUOTA) },
	{ 400, "{\"code\":\"Arrearage\",\"message\":\"m\"}", C(QUOTA) },
	{ 403, E("\"code\":\"AllocationQuota.FreeTierOnly\""), C(QUOTA) },
	{ 400, E("\"code\":\"data_inspection_failed\""), C(FILTER) },
	{ 400, E("\"code\":\"content_policy_violation\""), C(FILTER) },
	{ 400,
	    E("\"code\":null,\"innererror\":{\"code\":"
	      "\"ResponsibleAIPolicyViolation\"}"),
	    C(FILTER) },
	{ 400,
	    "[" E("\"code\":400,\"status\":\"INVALID_ARGUMENT\","
		  "\"details\":[{\"reason\":\"API_KEY_INVALID\"}]") "]",
	    C(AUTH) },
	{ 429,
	    "{\"message\":\"m\",\"type\":\"too_many_requests_error\","
	    "\"code\":\"queue_exceeded\"}",
	    C(OVERLOAD) },
	{ 429, E("\"type\":\"engine_overloaded_error\""), C(OVERLOAD) },
	{ 400,
	    E("\"code\":\"tool_use_failed\",\"type\":"
	      "\"invalid_request_error\",\"failed_generation\":\"x\""),
	    C(PROTOCOL) },
	{ 429, E("\"code\":\"Throttling.RateQuota\""), C(RATE_LIMIT) },
	{ 429,
	    E("\"details\":[null,1,{},{\"violations\":[{\"quotaId\":"
	      "\"GenerateRequestsPerDayPerProject\"}]}]"),
	    C(QUOTA) },
	{ 429,
	    E("\"details\":[{\"metadata\":{\"quota_limit\":"
	      "\"RequestsPerDay\"}}]"),
	    C(QUOTA) },
	{ 429,
	    E("\"details\":[{\"violations\":[{\"quotaId\":"
	      "\"RequestsPerMinute\"}]}]"),
	    C(RATE_LIMIT) },

	/* Sentences: context length, of every provider */
	{ 400, MESSAGE("prompt is too long: 208310 tokens > 200000 maximum"),
	    C(CONTEXT_LENGTH) },
	{ 400,
	    MESSAGE("input length and `max_tokens` exceed context limit: "
		    "188240 + 21333 > 200000"),
	    C(CONTEXT_LENGTH) },
	{ 400, MESSAGE("This model's maximum context length is 8192 tokens."),
	    C(CONTEXT_LENGTH) },
	{ 0, MESSAGE("Your input exceeds the context window of this model."),
	    C(CONTEXT_LENGTH) },
	{ 400,
	    MESSAGE("The input token count (1200000) exceeds the maximum "
		    "number of tokens allowed (1048576)."),
	    C(CONTEXT_LENGTH) },
	{ 400,
	    "{\"code\":\"Client specified an invalid argument\",\"error\":"
	    "\"This model's maximum prompt length is 131072 but the "
	    "request contains 537812 tokens.\"}",
	    C(CONTEXT_LENGTH) },
	{ 400, MESSAGE("Please reduce the length of the messages."),
	    C(CONTEXT_LENGTH) },
	{ 500, MESSAGE("the request exceeds the available context size."),
	    C(CONTEXT_LENGTH) },
	{ 400,
	    E("\"code\":\"InvalidParameter\",\"message\":\"<400> "
	      "Range of input length should be [1, 129024]\""),
	    C(CONTEXT_LENGTH) },
	{ 400,
	    E("\"code\":400,\"message\":\"Provider returned error\","
	      "\"metadata\":{\"raw\":\"{\\\"error\\\":\\\"Prompt is too "
	      "long\\\"}\"}"),
	    C(CONTEXT_LENGTH) },
	{ 429,
	    E("\"code\":429,\"metadata\":{\"raw\":"
	      "\"{\\\"code\\\":\\\"insufficient_quota\\\"}\"}"),
	    C(QUOTA) },
	{ 400, "prompt is too long", C(CONTEXT_LENGTH) },
	/* ... but not of a rate */
	{ 429,
	    MESSAGE("Requested 9000 tokens; reduce the length of the "
		    "messages."),
	    C(RATE_LIMIT) },
	{ 400,
	    MESSAGE("max_tokens: 100000 > 8192, which is the maximum "
		    "allowed number of output tokens"),
	    C(INVALID_REQUEST) },

	/* Other sentences */
	{ 400, MESSAGE("Your credit balance is too low to access the API."),
	    C(QUOTA) },
	{ 429, MESSAGE("Your team has used all available credits."), C(QUOTA) },
	{ 429,
	    MESSAGE("You exceeded your current quota, please check your "
		    "plan. Please retry in 37s."),
	    C(RATE_LIMIT) },
	{ 400, MESSAGE("Output blocked by content filtering policy"),
	    C(FILTER) },
	{ 400, MESSAGE("Content Exists Risk"), C(FILTER) },
	{ 403, MESSAGE("Your input was flagged for violence"), C(FILTER) },
	{ 400, "{\"code\":\"x\",\"error\":\"Incorrect API key provided\"}",
	    C(AUTH) },
	{ 503, MESSAGE("The model is overloaded."), C(OVERLOAD) },
	{ 429, MESSAGE("The engine is currently overloaded"), C(OVERLOAD) },

	/* Inside a stream */
	{ 0, E("\"type\":\"overloaded_error\""), C(OVERLOAD) },
	{ 0, E("\"type\":\"rate_limit_error\""), C(RATE_LIMIT) },
	{ 0, E("\"type\":\"api_error\""), C(SERVER) },
	{ 0, E("\"type\":\"timeout_error\""), C(TIMEOUT) },
	{ 0, E("\"type\":\"invalid_request_error\""), C(INVALID_REQUEST) },
	{ 0, E("\"type\":\"permission_error\""), C(AUTH) },
	{ 0, E("\"type\":\"not_found_error\""), C(INVALID_REQUEST) },
	{ 0, E("\"type\":\"billing_error\""), C(QUOTA) },
	{ 0, E("\"type\":\"BadRequestError\",\"code\":400"),
	    C(INVALID_REQUEST) },
	{ 0, E("\"type\":\"InternalServerError\",\"code\":500"), C(SERVER) },
	{ 0, E("\"code\":502,\"message\":\"m\""), C(SERVER) },
	{ 0, E("\"code\":\"429\""), C(RATE_LIMIT) },
	{ 0, "{\"error\":{\"message\":\"m\"},\"status_code\":503}",
	    C(OVERLOAD) },
	{ 0, "{\"code\":\"1500\",\"raw_status_code\":429}", C(RATE_LIMIT) },
	{ 0, E("\"code\":1261"), C(SERVER) },
	{ 0, E("\"code\":503,\"status\":\"UNAVAILABLE\""), C(OVERLOAD) },
	{ 0, "{\"error\":\"unexpected EOF\"}", C(SERVER) },
	{ 0, "{\"type\":\"error\",\"code\":\"insufficient_quota\"}", C(QUOTA) },
	{ 0, E("\"type\":null,\"code\":[],\"message\":{},\"details\":1"),
	    C(SERVER) },
	{ 0, "[]", C(SERVER) },
	{ 0, "[[1]]", C(SERVER) },
};

static void
stream_error(struct model_failure *f, const char *body)
{
	struct arena *a = arena_open(4096);
	struct complaint c;

	memset(f, 0, sizeof(*f));
	complaint_read(
	    json_parse(a, body, strlen(body), JSON_DEPTH_MAX, NULL), &c);
	complaint_fill(&c, f);
	complaint_judge(&c, 0, f);
	arena_close(&a);
}

static void
test_classes(void **state)
{
	struct model_failure f;

	(void)state;
	for (size_t i = 0; i < COUNT(cases_); i++) {
		if (cases_[i].status == 0)
			stream_error(&f, cases_[i].body);
		else
			decode(&f, cases_[i].status, cases_[i].body);
		if (f.kind != cases_[i].kind)
			fail_msg("%d %s: %s", cases_[i].status, cases_[i].body,
			    model_class_name(f.kind));
	}
}

static void
test_class_names(void **state)
{
	(void)state;
	assert_string_equal(model_class_name(C(NONE)), "");
	for (int i = 0; i < MODEL_CLASSES; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(
			    model_class_name((enum model_class)i),
			    model_class_name((enum model_class)k));
}

/* ---- policies ---- */

/* In a stream each has the word of its class. */
static void
test_policies(void **state)
{
	static const struct {
		const char *word;
		int retryable, once;
	} words[] = {
		{ "rate_limit_error", 1, 0 },
		{ "overloaded_error", 1, 0 },
		{ "insufficient_quota", 0, 0 },
		{ "authentication_error", 0, 0 },
		{ "context_length_exceeded", 0, 0 },
		{ "invalid_request_error", 0, 0 },
		{ "content_filter", 0, 0 },
		{ "api_error", 1, 0 },
		{ "timeout_error", 1, 0 },
		{ "tool_use_failed", 1, 1 },
		{ "something_new", 1, 0 },
	};
	struct model_failure f;
	char body[200];

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		snprintf(
		    body, sizeof(body), E("\"type\":\"%s\""), words[i].word);
		stream_error(&f, body);
		assert_int_equal(f.retryable, words[i].retryable);
		assert_int_equal(f.retry_once, words[i].once);
	}
}

static void
test_ours(void **state)
{
	struct model_failure f = { .message = "m" };

	(void)state;
	model_failure_set(&f, C(NETWORK), "network");
	assert_true(f.failed && f.retryable && !f.rejected);
	assert_string_equal(f.type, "network");
	assert_string_equal(f.message, "m");
	model_failure_set(&f, C(AUTH), "x");
	assert_false(f.retryable);
}

/* The message is withdrawn only if it was what was refused. */
static void
test_rejected(void **state)
{
	static const struct {
		int status;
		const char *body;
		int rejected;
	} r[] = {
		{ 400, "", 1 },
		{ 413, "", 1 },
		{ 422, "", 1 },
		{ 404, "", 0 },
		{ 429, "", 0 },
		{ 400, MESSAGE("prompt is too long"), 1 },
		{ 400, E("\"code\":\"data_inspection_failed\""), 1 },
		{ 400, E("\"code\":\"Arrearage\""), 0 },
		{ 400, MESSAGE("API key not valid."), 0 },
		{ 400, E("\"code\":\"tool_use_failed\""), 0 },
	};
	struct model_failure f;

	(void)state;
	for (size_t i = 0; i < COUNT(r); i++) {
		decode(&f, r[i].status, r[i].body);
		assert_int_equal(f.rejected, r[i].rejected);
	}
}

static void
test_tool_use_failed(void **state)
{
	static const char body[] = E("\"code\":\"tool_use_failed\"");
	struct model_reply reply = {
		.status = 400, .body = body, .len = sizeof(body) - 1
	};
	struct model_failure f;

	(void)state;
	model_error_decode(&reply, &f);
	assert_true(f.retryable && f.retry_once);
	reply.should_retry = "false";
	model_error_decode(&reply, &f);
	assert_false(f.retryable);
}

/* ---- request ids ---- */

static void
test_request_id(void **state)
{
	static const struct {
		const char *body, *id;
	} ids[] = {
		{ "{\"type\":\"error\",\"error\":{\"type\":\"t\"},"
		  "\"request_id\":\"req_1\"}",
		    "req_1" },
		{ "{\"code\":\"c\",\"request_id\":\"a-b\"}", "a-b" },
		{ "{\"error\":{\"code\":\"c\"},\"requestId\":\"r\"}", "r" },
		{ E("\"request_id\":\"inner\""), "inner" },
		{ "{\"error\":\"e\",\"request_id\":null}", "" },
		{ "{\"error\":\"e\",\"request_id\":7}", "" },
		{ "no JSON", "" },
	};
	struct model_failure f;

	(void)state;
	for (size_t i = 0; i < COUNT(ids); i++) {
		decode(&f, 500, ids[i].body);
		assert_string_equal(f.request_id, ids[i].id);
	}
}

/* ---- keys ---- */

static void
test_keys(void **state)
{
	static const struct {
		const char *said, *shown;
	} texts[] = {
		{ "Incorrect API key provided: sk-proj-abcdefghij0123.",
		    "Incorrect API key provided: sk-*******************." },
		{ "key AIzaSyA1234567890_abcdefghijklmnopqrstu here",
		    "key AIza*********************************** here" },
		{ "bad (AQ.Ab8RN6Kx_yz-0123)", "bad (AQ.****************)" },
		{ "token ya29.a0AfH6SMBx-9", "token ya29.************" },
		{ "Authorization: Bearer eyJhbGci.eyJzdWIi.c2ln_1",
		    "Authorization: Bearer ************************" },
		{ "got bearer abc/def+0123456789==!",
		    "got bearer ********************!" },
		{ "Bearer authentication is needed",
		    "Bearer authentication is needed" },
		{ "/v1?key=0123456789abc&alt=sse",
		    "/v1?key=*************&alt=sse" },
		{ "api-key: 0123456789abcdef0123456789abcdef no",
		    "api-key: ******************************** no" },
		{ "subscription 0123456789abcdef0123456789abcdef",
		    "subscription ********************************" },
		{ "claude-nonexistent-model-for-identity-edge",
		    "claude-nonexistent-model-for-identity-edge" },
		{ "invalid-api-key-was-sent-1", "invalid-api-key-was-sent-1" },
		{ "x.sk-ant-0123456789", "x.sk-**************" },
	};
	char out[300];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		model_copy_message(
		    out, sizeof(out), texts[i].said, strlen(texts[i].said));
		assert_string_equal(out, texts[i].shown);
	}
}

/* The key that was sent, whatever it looks like. */
static void
test_known_key(void **state)
{
	static const struct {
		const char *key, *said, *shown;
	} texts[] = {
		{ "x-api-key: My Key? no-key-at-all",
		    "you sent no-key-at-all, twice: no-key-at-all",
		    "you sent *************, twice: *************" },
		{ "authorization: Bearer oddKey,123", "cut here: oddKey,1",
		    "cut here: ********" },
		{ "x-api-key: oddKey,123", "oddKey is short",
		    "oddKey is short" },
		{ "short", "a short one", "a ***** one" },
		{ "", "nothing", "nothing" },
	};
	struct model_failure f;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		strcpy(f.message, texts[i].said);
		model_failure_hide(&f, texts[i].key);
		assert_string_equal(f.message, texts[i].shown);
	}
}

/* ---- shapes ---- */

static void
test_shapes(void **state)
{
	static const struct {
		const char *body, *type, *message;
	} shapes[] = {
		{ "{\"error\":{\"message\":\"No.\",\"type\":\"t\","
		  "\"code\":null,\"param\":null}}",
		    "t", "No." },
		{ "{\"type\":\"error\",\"error\":{\"type\":\"t\","
		  "\"message\":\"No.\"},\"request_id\":\"r\"}",
		    "t", "No." },
		{ "[{\"error\":{\"code\":429,\"message\":\"No.\","
		  "\"status\":\"T\",\"details\":[]}}]",
		    "T", "No." },
		{ "{\"code\":\"t\",\"error\":\"No.\"}", "t", "No." },
		{ "{\"message\":\"No.\",\"type\":\"t\",\"code\":\"c\"}", "t",
		    "No." },
		{ "{\"detail\":\"No.\"}", "", "No." },
		{ "{\"detail\":[{\"msg\":\"No.\"}]}", "", "No." },
		{ "{\"error\":\"No.\"}", "", "No." },
		{ "{\"error\":{\"code\":400,\"message\":\"No\",\"metadata\":"
		  "{\"raw\":\"way.\"}}}",
		    "", "No: way." },
		{ "{\"error\":{\"message\":null}}", "", "HTTP status 503" },
		{ "<html><head><title>503 No.</title></head>", "", "503 No." },
		{ "\n<html><body>", "", "HTTP status 503" },
		{ "No.\n", "", "No. " },
		{ "N\xffo\x01\xc3", "", "N?o ?" },
		{ "", "", "HTTP status 503" },
		{ "\"No.\"", "", "\"No.\"" },
		{ "your key sk-ant-api03-abcDEF_123 and AIza", "",
		    "your key sk-******************** and AIza" },
	};
	struct model_failure f;

	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		struct model_reply reply = { .status = 503,
			.body = shapes[i].body,
			.len = strlen(shapes[i].body) };

		model_error_decode(&reply, &f);
		assert_string_equal(f.type, shapes[i].type);
		assert_string_equal(f.message, shapes[i].message);
		assert_int_equal(f.retryable, 1);
	}
}

static void
test_long(void **state)
{
	char body[2000];
	struct model_reply reply = {
		.status = 400, .body = body, .len = sizeof(body)
	};
	struct model_failure f;

	(void)state;
	for (size_t i = 0; i < sizeof(body); i += 2)
		memcpy(body + i, "\xc3\xa9", 2);
	model_error_decode(&reply, &f);
	assert_in_range(strlen(f.message), 290, sizeof(f.message) - 1);
	assert_int_equal(
	    json_utf8_whole(f.message, strlen(f.message)), strlen(f.message));
}

static void
test_retry(void **state)
{
	static const struct {
		int status;
		const char *body, *should;
		int retryable;
	} retries[] = {
		{ 408, "", NULL, 1 },
		{ 409, "", NULL, 1 },
		{ 429, "", NULL, 1 },
		{ 500, "", NULL, 1 },
		{ 504, "", NULL, 1 },
		{ 529, "", NULL, 1 },
		{ 529, "", "false", 0 },
		{ 418, "", NULL, 0 },
		{ 418, "", "true", 1 },
		{ 302, "", NULL, 0 },
		{ 400, "", "true", 0 },
		{ 401, "", "true", 0 },
		{ 402, "", "true", 0 },
		{ 403, "", "true", 0 },
		{ 404, "", "true", 0 },
		{ 413, "", "true", 0 },
		{ 422, "", "true", 0 },
		{ 429, "{\"error\":{\"code\":\"insufficient_quota\"}}", "true",
		    0 },
		{ 429, "{\"error\":{\"type\":\"insufficient_quota\"}}", NULL,
		    0 },
		{ 429,
		    "{\"error\":{\"details\":{\"error_code\":"
		    "\"enforced_spend_limit_reached\"}}}",
		    NULL, 0 },
		{ 429,
		    "[{\"error\":{\"details\":[{},{\"violations\":["
		    "{\"quotaId\":\"RequestsPerDayPerProject\"}]}]}}]",
		    NULL, 0 },
		{ 429,
		    "{\"error\":{\"details\":[{\"violations\":["
		    "{\"quotaId\":\"RequestsPerMinute\"}]}]}}",
		    NULL, 1 },
	};
	struct model_failure f;

	(void)state;
	for (size_t i = 0; i < COUNT(retries); i++) {
		struct model_reply reply = { .status = retries[i].status,
			.body = retries[i].body,
			.len = strlen(retries[i].body),
			.should_retry = retries[i].should };

		model_error_decode(&reply, &f);
		assert_int_equal(f.retryable, retries[i].retryable);
	}
}

static void
test_delay(void **state)
{
	static const struct {
		int status;
		const char *after, *after_ms;
		int ms;
	} delays[] = {
		{ 429, "32", NULL, 32000 },
		{ 529, "0.5", NULL, 500 },
		{ 429, "32", "1500.5", 1500 },
		{ 429, "32", "soon", 32000 },
		{ 429, "soon", NULL, 0 },
		{ 429, "-5", NULL, 0 },
		{ 429, "inf", NULL, 0 },
		{ 429, "1e300", NULL, 86400000 },
		{ 200, "32", NULL, 0 },
		{ 400, "32", NULL, 0 },
		{ 503, "Sun, 06 Nov 1994 08:49:37 GMT", NULL, 7000 },
		{ 503, "Sun, 06 Nov 1994 08:49:07 GMT", NULL, 0 },
		{ 503, "Sun, 06 Nov 2094 08:49:07 GMT", NULL, 86400000 },
	};
	static const struct {
		int status;
		const char *info, *after;
		int ms;
	} infos[] = {
		{ 429, "\"37s\"", NULL, 37000 },
		{ 503, "\"0.25s\"", NULL, 250 },
		{ 429, "\"37s\"", "2", 2000 },
		{ 429, "\"37s\"", "0", 0 },
		{ 429, "\"99999999s\"", NULL, 86400000 },
		{ 400, "\"37s\"", NULL, 0 },
		{ 429, "\"soon\"", NULL, 0 },
		{ 429, "\"37\"", NULL, 0 },
		{ 429, "\"s\"", NULL, 0 },
		{ 429, "37", NULL, 0 },
		{ 429, "null", NULL, 0 },
	};
	struct model_failure f;
	char body[200];

	(void)state;
	for (size_t i = 0; i < COUNT(infos); i++) {
		struct model_reply reply = { .status = infos[i].status,
			.body = body,
			.retry_after = infos[i].after };

		reply.len = (size_t)snprintf(body, sizeof(body),
		    "{\"error\":{\"message\":\"m\",\"details\":[{\"@type\":"
		    "\"type.googleapis.com/google.rpc.RetryInfo\","
		    "\"retryDelay\":%s}]}}",
		    infos[i].info);
		model_error_decode(&reply, &f);
		assert_int_equal(f.retry_after_ms, infos[i].ms);
	}
	for (size_t i = 0; i < COUNT(delays); i++) {
		struct model_reply reply = { .status = delays[i].status,
			.retry_after = delays[i].after,
			.retry_after_ms = delays[i].after_ms,
			.now_s = 784111770 };

		model_error_decode(&reply, &f);
		assert_int_equal(f.retry_after_ms, delays[i].ms);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_recorded_in_stream),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_class_names),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_rejected),
		cmocka_unit_test(test_tool_use_failed),
		cmocka_unit_test(test_request_id),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_known_key),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_delay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
