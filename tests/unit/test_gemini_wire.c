/* SPDX-License-Identifier: MIT */
/* Requests of Gemini's streamGenerateContent. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "model/call.h"
#include "wire_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define NEW "gemini-3-flash-preview"
#define OLD "gemini-2.5-flash"

#define USER(blocks) "{\"role\":\"user\",\"content\":[" blocks "]}"
#define SAID(blocks) "{\"role\":\"assistant\",\"content\":[" blocks "]}"
#define TEXT(text) "{\"type\":\"text\",\"text\":\"" text "\"}"
#define CALL(id, more)                                                         \
	"{\"type\":\"tool_use\",\"id\":\"" id                                  \
	"\",\"name\":\"f\",\"input\":{\"a\":1}" more "}"
#define RESULT(id, content)                                                    \
	"{\"type\":\"tool_result\",\"tool_use_id\":\"" id                      \
	"\",\"content\":" content "}"
#define BASE64(type, media)                                                    \
	"{\"type\":\"" type "\",\"source\":{\"type\":\"base64\","              \
	"\"media_type\":\"" media "\",\"data\":\"QUJD\"}}"
#define SOURCE(type, source) "{\"type\":\"" type "\",\"source\":{" source "}}"

#define U(parts) "{\"role\":\"user\",\"parts\":[" parts "]}"
#define M(parts) "{\"role\":\"model\",\"parts\":[" parts "]}"
#define T(text) "{\"text\":\"" text "\"}"
#define DUMMY ",\"thoughtSignature\":\"skip_thought_signature_validator\""
#define FC(id, more)                                                           \
	"{\"functionCall\":{" id "\"name\":\"f\",\"args\":{\"a\":1}}" more "}"
#define FR(id, response)                                                       \
	"{\"functionResponse\":{" id "\"name\":\"f\",\"response\":{" response  \
	"}}}"
#define INLINE(media)                                                          \
	"{\"inlineData\":{\"mimeType\":\"" media "\",\"data\":\"QUJD\"}}"

static void
expect_contents(const char *model, const char *extra,
    const struct wire_doc *docs, size_t count, const char *wanted)
{
	struct arena *a = arena_open(4096);
	struct wire_model m = wire_model_of(model);
	const struct wire_request rq = { .model = &m, .extra = extra };
	const struct json *body = wire_body(a, &wire_gemini, &rq, docs, count);

	expect_json("contents", json_get(body, "contents"), wanted);
	arena_close(&a);
}

/* One message of the user's, and what it becomes behind the first one. */
static void
expect_user(const char *model, const char *blocks, const char *parts)
{
	char text[1500], wanted[1500];
	const struct wire_doc doc = { .text = text, .calls = "{\"c\":\"f\"}" };

	snprintf(text, sizeof(text), USER("%s"), blocks);
	snprintf(wanted, sizeof(wanted), "[" U("%s") "]", parts);
	expect_contents(model, NULL, &doc, 1, wanted);
}

static void
test_roles(void **state)
{
	static const struct wire_doc docs[] = {
		{ .text = "{\"role\":\"user\",\"content\":\"a\"}" },
		{ .text = USER(TEXT("b") "," TEXT("") "," TEXT("c")) },
		{ .text = "{\"role\":\"assistant\",\"content\":\"d\"}" },
		{ .text = SAID(TEXT("e")) },
		{ .text = USER(TEXT("")) },
		{ .text = SAID("") },
		{ .text = USER(TEXT("\\u00fc\\\"\\n")) },
	};

	(void)state;
	expect_contents(NEW, NULL, docs, COUNT(docs),
	    "[" U(T("a") "," T("b") "," T("c")) "," M(T("d") "," T("e")) "," U(
		T("\\u00fc\\\"\\n")) "]");
	/* The user's is the first. */
	expect_contents(NEW, NULL, &docs[3], 1,
	    "[" U(T("[The beginning of the conversation is not here.]")) "," M(
		T("e")) "]");
	expect_contents(NEW, NULL, &docs[4], 2, "[]");
}

/* What is added stays as it is, and costs the same each time. */
static void
test_growth(void **state)
{
	static const struct wire_doc user = { .text = USER(TEXT("a")) };
	static const struct wire_doc said = { .text = SAID(TEXT("b")) };
	struct arena *a = arena_open(4096);
	struct wire_model m = wire_model_of(NEW);
	struct wire_doc docs[64];
	struct wire_text t, before;

	(void)state;
	for (size_t i = 0; i < COUNT(docs); i++)
		docs[i] = i % 3 == 2 ? said : user;
	for (size_t n = 1; n < COUNT(docs); n++) {
		wire_text_make(a, &before, &wire_gemini, &m, docs, n);
		wire_text_make(a, &t, &wire_gemini, &m, docs, n + 1);
		assert_true(t.out->len > before.out->len);
		assert_memory_equal(
		    t.out->data, before.out->data, before.out->len);
	}
	arena_close(&a);
}

static void
test_extra(void **state)
{
	static const struct wire_doc docs[] = {
		{ .text = USER(TEXT("a")) },
		{ .text = SAID(CALL("c", "")), .foreign = 1 },
		{ .text = USER(RESULT("c", "\"ok\"")),
		    .calls = "{\"c\":\"f\"}" },
		{ .text = SAID(TEXT("b")) },
	};

	(void)state;
	expect_contents(NEW, "x\"", docs, 0, "[" U(T("x\\\"")) "]");
	expect_contents(NEW, "x", docs, 1, "[" U(T("a") "," T("x")) "]");
	expect_contents(NEW, "x", docs, 3,
	    "[" U(T("a")) "," M(FC("", DUMMY)) "," U(
		FR("", "\"result\":\"ok\"") "," T("x")) "]");
	expect_contents(NEW, "x", docs, 4,
	    "[" U(T("a")) "," M(FC("", DUMMY)) "," U(
		FR("", "\"result\":\"ok\"")) "," M(T("b")) "," U(T("x")) "]");
}

/* Its own parts go back as they came, with the ids that it gave. */
static void
test_own(void **state)
{
	static const struct wire_doc docs[] = {
		{ .text = USER(TEXT("a")) },
		{ .text = SAID(
		      "{\"type\":\"thinking\",\"thinking\":\"h\"},"
		      "{\"type\":\"thinking\",\"thinking\":\"m\","
		      "\"native\":{\"thoughtSignature\":\"S\"}},"
		      "{\"type\":\"native\",\"native\":{\"executableCode\":{"
		      "\"code\":\"1\"},\"thoughtSignature\":\"C\"}}," TEXT(
			  "b") "," CALL("c1", ",\"native\":{\"id\":"
					      "\"g\\\"1\\\\\","
					      "\"thoughtSignature\":\"T\","
					      "\"new\":[1]}") "," CALL("c2",
			  ",\"native\":{\"id\":\"g2\"}") "," CALL("c3", "")) },
		{ .text = USER(RESULT("c2", "\"two\"") "," RESULT(
		      "c1", "\"one\"") "," RESULT("c3",
		      "\"three\"") "," TEXT("go on")),
		    .calls = "{\"c1\":\"f\",\"c2\":\"f\",\"c3\":\"f\"}" },
		{ .text = SAID(
		      TEXT("e") ",{\"type\":\"text\",\"text\":\"\","
				"\"native\":{\"thoughtSignature\":\"U\"}}") },
		{ .text = USER(RESULT("c1", "\"late\"")),
		    .calls = "{\"c1\":\"f\"}" },
	};

	(void)state;
	expect_contents(NEW, NULL, docs, COUNT(docs),
	    "[" U(T("a")) "," M(
		"{\"text\":\"h\",\"thought\":true},"
		"{\"text\":\"m\",\"thought\":true,"
		"\"thoughtSignature\":\"S\"},"
		"{\"executableCode\":{\"code\":\"1\"},"
		"\"thoughtSignature\":\"C\"}," T("b") "," FC(
		    "\"id\":\"g\\\"1\\\\\",",
		    ",\"thoughtSignature\":\"T\","
		    "\"new\":[1]") "," FC("\"id\":\"g2\",", "") "," FC("",
		    "")) "," U(FR("\"id\":\"g2\",",
		"\"result\":\"two\"") "," FR("\"id\":\"g\\\"1\\\\\",",
		"\"result\":\"one\"") "," FR("",
		"\"result\":\"three\"") "," T("go on")) "," M(T("e") ",{"
								     "\"text\":"
								     "\"\","
								     "\"thought"
								     "Signature"
								     "\":"
								     "\"U\"}") "," U(FR("",
		"\"result\":\"late\"")) "]");
}

/* Nothing but thoughts is no answer, unless they are signed. */
static void
test_thoughts(void **state)
{
#define THOUGHT(text, more)                                                    \
	"{\"type\":\"thinking\",\"thinking\":\"" text "\"" more "}"
	static const struct wire_doc docs[] = {
		{ .text = USER(TEXT("a")) },
		{ .text = SAID(THOUGHT("h", "")) },
		{ .text = USER(TEXT("b")) },
		{ .text = SAID(THOUGHT("", "") "," THOUGHT(
		      "", ",\"native\":{\"thoughtSignature\":\"S\"}")) },
	};

	(void)state;
	expect_contents(NEW, NULL, docs, COUNT(docs),
	    "[" U(T("a") "," T("b")) "," M("{\"text\":\"\",\"thought\":true,"
					   "\"thoughtSignature\":\"S\"}") "]");
}

/* A call of its own without a signature is signed where that is demanded. */
static void
test_unsigned(void **state)
{
	static const struct wire_doc docs[] = {
		{ .text = USER(TEXT("a")) },
		{ .text = SAID(CALL("c1", "") "," CALL("c2", "")) },
	};

	(void)state;
	expect_contents(NEW, NULL, docs, 2,
	    "[" U(T("a")) "," M(FC("", DUMMY) "," FC("", "")) "]");
	expect_contents("models/" OLD, NULL, docs, 2,
	    "[" U(T("a")) "," M(FC("", "") "," FC("", "")) "]");
}

/* What others said: text and calls, none of their own. */
static void
expect_foreign(const char *said, const char *parts)
{
	char wanted[1000], old[1000];
	const struct wire_doc docs[] = {
		{ .text = USER(TEXT("a")) },
		{ .text = said, .foreign = 1 },
		{ .text = USER(RESULT("c1", "\"1\"") "," RESULT("c2", "\"2\"")),
		    .calls = "{\"c1\":\"f\",\"c2\":\"f\"}" },
	};

#define WANTED                                                                 \
	"[" U(T("a")) "," M("%s" FC("", "%s") "," FC("", "")) "," U(           \
	    FR("", "\"result\":\"1\"") "," FR("", "\"result\":\"2\"")) "]"
	snprintf(wanted, sizeof(wanted), WANTED, parts, DUMMY);
	snprintf(old, sizeof(old), WANTED, parts, "");
	expect_contents(NEW, NULL, docs, COUNT(docs), wanted);
	expect_contents(OLD, NULL, docs, COUNT(docs), old);
}

static void
test_foreign_anthropic(void **state)
{
	(void)state;
	expect_foreign(
	    SAID("{\"type\":\"thinking\",\"thinking\":\"h\","
		 "\"signature\":\"s\"},"
		 "{\"type\":\"redacted_thinking\",\"data\":\"d\"},"
		 "{\"type\":\"text\",\"text\":\"b\",\"citations\":[{}]},"
		 "{\"type\":\"server_tool_use\",\"id\":\"s1\",\"name\":\"w\","
		 "\"input\":{}},"
		 "{\"type\":\"web_search_tool_result\",\"tool_use_id\":\"s1\","
		 "\"content\":[]}," CALL("c1", "") "," CALL("c2", "")),
	    T("b") ",");
}

static void
test_foreign_chat(void **state)
{
	(void)state;
	expect_foreign(
	    SAID(
		"{\"type\":\"thinking\",\"thinking\":\"h\",\"native\":{"
		"\"reasoning_details\":[{}]}}," TEXT(
		    "") ","
			"{\"type\":\"text\",\"text\":\"no\",\"refusal\":true},"
			"{\"type\":\"native\",\"native\":{\"audio\":{}}}," CALL(
			    "c1",
			    ",\"native\":{\"id\":\"call_x\"}") "," CALL("c2",
			    ",\"native\":{\"id\":\"call_x\",\"index\":0}")),
	    T("no") ",");
}

static void
test_foreign_responses(void **state)
{
	(void)state;
	expect_foreign(
	    SAID("{\"type\":\"native\",\"native\":{\"type\":\"reasoning\","
		 "\"encrypted_content\":\"x\",\"summary\":[]}},"
		 "{\"type\":\"text\",\"text\":\"b\",\"native\":{\"id\":"
		 "\"msg_1\",\"annotations\":[]}}," CALL("c1",
		     ",\"native\":{\"id\":\"fc_1\",\"call_id\":"
		     "\"call_1\"}") "," CALL("c2", "")),
	    T("b") ",");
}

/* Another Gemini's signatures are no better. */
static void
test_foreign_gemini(void **state)
{
	static const struct wire_doc docs[] = {
		{ .text = USER(TEXT("a")) },
		{ .text = SAID("{\"type\":\"thinking\",\"thinking\":\"h\","
			       "\"native\":{\"thoughtSignature\":\"S\"}}"),
		    .foreign = 1 },
		{ .text = USER(TEXT("b")) },
	};

	(void)state;
	expect_foreign(
	    SAID(CALL("c1", ",\"native\":{\"id\":\"g1\","
			    "\"thoughtSignature\":\"S\"}") "," CALL("c2",
		",\"native\":{\"id\":\"g2\"}") ","
					       "{\"type\":\"text\",\"text\":"
					       "\"\",\"native\":{"
					       "\"thoughtSignature\":\"T\"}}"),
	    "");
	expect_contents(
	    NEW, NULL, docs, COUNT(docs), "[" U(T("a") "," T("b")) "]");
}

/* As many as may be, and more: then call and result both have no id. */
static void
test_many_calls(void **state)
{
	struct arena *a = arena_open(65536);
	struct buf said, results, calls;
	struct wire_model m = wire_model_of(NEW);
	const struct wire_request rq = { .model = &m };
	const struct json *call, *result;
	int n = 0, ids = 0;

	(void)state;
	buf_init(&said, a);
	buf_init(&results, a);
	buf_init(&calls, a);
	buf_lit(&calls, "{");
	for (int i = 0; i < WIRE_CUTS_MAX + 8; i++) {
		buf_printf(&said,
		    "%s" CALL("c%d", ",\"native\":{\"id\":"
				     "\"g%d\"}"),
		    i == 0 ? "" : ",", i, i);
		buf_printf(&results, "%s" RESULT("c%d", "\"r%d\""),
		    i == 0 ? "" : ",", i, i);
		buf_printf(&calls, "%s\"c%d\":\"f\"", i == 0 ? "" : ",", i);
	}
	buf_lit(&calls, "}");
	const struct wire_doc docs[] = {
		{ .text = USER(TEXT("a")) },
		{ .text = arena_printf(a, SAID("%s"), buf_str(&said)) },
		{ .text = arena_printf(a, USER("%s"), buf_str(&results)),
		    .calls = buf_str(&calls) },
	};
	call = json_next(json_first(json_get(
	    wire_body(a, &wire_gemini, &rq, docs, COUNT(docs)), "contents")));
	result = json_first(json_get(json_next(call), "parts"));
	call = json_first(json_get(call, "parts"));
	for (; call != NULL; call = json_next(call), n++) {
		const char *id =
		    json_get_str(json_get(call, "functionCall"), "id");
		const char *again =
		    json_get_str(json_get(result, "functionResponse"), "id");

		ids += id != NULL;
		assert_int_equal(id == NULL, again == NULL);
		assert_true(id == NULL || strcmp(id, again) == 0);
		result = json_next(result);
	}
	assert_int_equal(n, WIRE_CUTS_MAX + 8);
	assert_int_equal(ids, WIRE_CUTS_MAX);
	assert_null(result);
	arena_close(&a);
}

static void
test_results(void **state)
{
	(void)state;
	expect_user(NEW, RESULT("c", "\"\""), FR("", "\"result\":\"\""));
	expect_user(NEW, RESULT("c", "\"no\",\"is_error\":true"),
	    FR("", "\"error\":\"no\""));
	expect_user(NEW, RESULT("c", "\"{\\\"$ref\\\":1}\""),
	    FR("", "\"result\":\"{\\\"$ref\\\":1}\""));
	expect_user(NEW, RESULT("c", "[" TEXT("a\\\"") "," TEXT("b") "]"),
	    FR("", "\"result\":\"a\\\"\\nb\""));
	expect_user(NEW, RESULT("c", "[]"), FR("", "\"result\":\"\""));
	expect_user(NEW, RESULT("?", "\"a\""),
	    "{\"functionResponse\":{\"name\":\"unknown_tool\",\"response\":{"
	    "\"result\":\"a\"}}}");
	/* They come first. */
	expect_user(NEW, TEXT("a") "," RESULT("c", "\"b\""),
	    FR("", "\"result\":\"b\"") "," T("a"));
}

#define NO_IMAGE T("[an image that you cannot see]")
#define NO_DOCUMENT T("[a document that you cannot read]")

static void
test_result_images(void **state)
{
#define PICTURE                                                                \
	RESULT("c", "[" TEXT("see") "," BASE64("image", "image/png") "]")
	(void)state;
	expect_user(NEW, PICTURE "," RESULT("c", "\"b\""),
	    "{\"functionResponse\":{\"name\":\"f\",\"response\":{\"result\":"
	    "\"see\"},\"parts\":[" INLINE("image/png") "]}}," FR(
		"", "\"result\":\"b\""));
	expect_user(OLD, PICTURE "," RESULT("c", "\"b\""),
	    FR("", "\"result\":\"see\"") "," FR(
		"", "\"result\":\"b\"") "," INLINE("image/png"));
	/* What cannot stand within stands behind. */
	expect_user(NEW, RESULT("c", "[" BASE64("image", "image/gif") "]"),
	    FR("", "\"result\":\"\"") "," NO_IMAGE);
	expect_user(NEW,
	    RESULT("c", "[{\"type\":\"document\",\"title\":\"t\","
			"\"source\":{\"type\":\"base64\",\"media_type\":"
			"\"application/pdf\",\"data\":\"QUJD\"}}]"),
	    FR("", "\"result\":\"\"") "," T("t") "," INLINE("application/pdf"));
}

static void
test_media(void **state)
{
	(void)state;
	expect_user(NEW, TEXT("a") "," BASE64("image", "image/png"),
	    T("a") "," INLINE("image/png"));
	expect_user(NEW, BASE64("image", "image/jpg"), INLINE("image/jpeg"));
	expect_user(NEW, BASE64("image", "image/gif"), NO_IMAGE);
	expect_user(NEW, BASE64("document", "application/pdf"),
	    INLINE("application/pdf"));
	expect_user(NEW,
	    "{\"type\":\"document\",\"title\":\"t\",\"context\":\"c\","
	    "\"source\":{\"type\":\"base64\",\"media_type\":"
	    "\"application/pdf\",\"data\":\"QUJD\"}}",
	    T("t") "," T("c") "," INLINE("application/pdf"));
	expect_user(NEW, SOURCE("document", "\"type\":\"new\""), NO_DOCUMENT);
	expect_user(NEW, SOURCE("image", "\"type\":\"new\""), NO_IMAGE);
	expect_user(NEW, "{\"type\":\"image\"}", NO_IMAGE);
	expect_user(NEW, TEXT("a") ",{\"type\":\"new\"}", T("a"));
}

/* ---- what stands behind the contents ---- */

static void
expect_rest(struct wire_model m, struct wire_request rq, const char *wanted)
{
	static const struct wire_doc doc = { .text = USER(TEXT("a")) };
	struct arena *a = arena_open(4096);
	char whole[2000];

	m.id = m.id == NULL ? NEW : m.id;
	m.effort = m.effort == NULL ? "" : m.effort;
	m.members = m.members == NULL ? "" : m.members;
	rq.model = &m;
	snprintf(whole, sizeof(whole), "{\"contents\":[" U(T("a")) "]%s%s}",
	    *wanted == '\0' ? "" : ",", wanted);
	expect_json("body", wire_body(a, &wire_gemini, &rq, &doc, 1), whole);
	arena_close(&a);
}

#define MODEL(...)                                                             \
	(struct wire_model)                                                    \
	{                                                                      \
		__VA_ARGS__                                                    \
	}
#define REQUEST(...)                                                           \
	(struct wire_request)                                                  \
	{                                                                      \
		__VA_ARGS__                                                    \
	}
#define CONFIG(members) "\"generationConfig\":{" members "}"

static void
test_rest(void **state)
{
	(void)state;
	expect_rest(MODEL(.max_tokens = 0), REQUEST(.system = ""), "");
	expect_rest(MODEL(.max_tokens = 9), REQUEST(.system = "S\""),
	    "\"systemInstruction\":{\"parts\":[" T("S\\\"") "]}," CONFIG(
		"\"maxOutputTokens\":9"));
	expect_rest(MODEL(.members = "{\"safetySettings\":[],\"a\":{\"b\":1}}"),
	    REQUEST(.system = ""), "\"safetySettings\":[],\"a\":{\"b\":1}");
}

static void
test_thinking(void **state)
{
	const struct wire_request none = { .system = "" };

	(void)state;
	expect_rest(MODEL(.effort = "low"), none,
	    CONFIG("\"thinkingConfig\":{\"thinkingLevel\":\"low\"}"));
	expect_rest(MODEL(.effort = "low", .thinking = 9), none,
	    CONFIG("\"thinkingConfig\":{\"includeThoughts\":true,"
		   "\"thinkingLevel\":\"low\"}"));
	expect_rest(MODEL(.thinking = 9), none,
	    CONFIG("\"thinkingConfig\":{\"includeThoughts\":true,"
		   "\"thinkingBudget\":9}"));
	expect_rest(MODEL(.id = OLD, .effort = "low", .thinking = 9), none,
	    CONFIG("\"thinkingConfig\":{\"includeThoughts\":true,"
		   "\"thinkingBudget\":9}"));
}

/* Theirs counts, but for the form of the answer. */
static void
test_config(void **state)
{
	const struct wire_request none = { .system = "" };
	const struct wire_request schema = { .schema =
						 "{\"type\":\"object\"}" };

	(void)state;
	expect_rest(MODEL(.max_tokens = 9, .thinking = 9, .effort = "low",
			.members = "{\"generationConfig\":{\"temperature\":0,"
				   "\"maxOutputTokens\":7,\"thinkingConfig\":{"
				   "\"thinkingBudget\":0}},\"a\":1}"),
	    none,
	    CONFIG("\"temperature\":0,\"maxOutputTokens\":7,"
		   "\"thinkingConfig\":{\"thinkingBudget\":0}") ",\"a\":1");
	expect_rest(MODEL(.members = "{\"generationConfig\":{}}"), none, "");
	expect_rest(MODEL(.members = "{\"generationConfig\":null}"), none, "");
#define ANSWER                                                                 \
	"\"responseMimeType\":\"application/json\",\"responseJsonSchema\":{"   \
	"\"type\":\"object\"}"
	expect_rest(MODEL(.max_tokens = 9), schema,
	    CONFIG("\"maxOutputTokens\":9," ANSWER));
	expect_rest(MODEL(.members = "{\"generationConfig\":{\"topK\":1,"
				     "\"responseMimeType\":\"text/x.enum\","
				     "\"responseSchema\":{},"
				     "\"responseJsonSchema\":{}}}"),
	    schema, CONFIG(ANSWER ",\"topK\":1"));
	expect_rest(MODEL(.members = "{\"generationConfig\":{"
				     "\"responseSchema\":{}}}"),
	    none, CONFIG("\"responseSchema\":{}"));
}

static void
test_choice(void **state)
{
	static const struct {
		const char *choice, *config;
	} choices[] = {
		{ "", NULL },
		{ "auto", "{\"mode\":\"AUTO\"}" },
		{ "none", "{\"mode\":\"NONE\"}" },
		{ "any", "{\"mode\":\"ANY\"}" },
		{ "=f", "{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}" },
	};
	char wanted[200];

	(void)state;
	for (size_t i = 0; i < COUNT(choices); i++) {
		snprintf(wanted, sizeof(wanted),
		    choices[i].config == NULL
			? "\"tools\":[{}]"
			: "\"tools\":[{}],\"toolConfig\":{"
			  "\"functionCallingConfig\":%s}",
		    choices[i].config);
		expect_rest(MODEL(.max_tokens = 0),
		    REQUEST(.tools = "[{}]", .tool_choice = choices[i].choice),
		    wanted);
		expect_rest(MODEL(.max_tokens = 0),
		    REQUEST(.tool_choice = choices[i].choice), "");
	}
}

/* ---- tools ---- */

static void
expect_tools(const char *tools, const char *wanted)
{
	struct arena *a = arena_open(4096);
	const struct json *got;
	struct buf b;

	buf_init(&b, a);
	wire_gemini.tools(&b, tools, 0);
	got = json_parse(a, b.data, b.len, JSON_DEPTH_MAX, NULL);
	assert_non_null(got);
	expect_json(tools, got, wanted);
	arena_close(&a);
}

static void
test_tools(void **state)
{
	(void)state;
	expect_tools("[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":"
		     "{\"type\":\"object\",\"properties\":{},"
		     "\"additionalProperties\":false}},{\"name\":\"g\","
		     "\"description\":\"\"}]",
	    "[{\"functionDeclarations\":[{\"name\":\"f\",\"description\":\"d\","
	    "\"parametersJsonSchema\":{\"type\":\"object\",\"properties\":{},"
	    "\"additionalProperties\":false}},{\"name\":\"g\"}]}]");
}

static void
expect_schema(const char *schema, const char *wanted)
{
	char tools[1500], declared[1500];

	snprintf(tools, sizeof(tools), "[{\"name\":\"f\",\"input_schema\":%s}]",
	    schema);
	snprintf(declared, sizeof(declared),
	    "[{\"functionDeclarations\":[{\"name\":\"f\","
	    "\"parametersJsonSchema\":%s}]}]",
	    wanted);
	expect_tools(tools, declared);
}

#define ROOT(properties, more)                                                 \
	"{\"type\":\"object\",\"properties\":{" properties "}" more "}"

static void
test_schema(void **state)
{
	(void)state;
	/* Names are no keywords, and data is no schema. */
	expect_schema(
	    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
	    "\"type\":[\"object\",\"null\"],\"properties\":{\"$ref\":{"
	    "\"type\":\"string\"},\"$defs\":{\"enum\":[{\"$ref\":\"#/x\"}],"
	    "\"default\":{\"$schema\":1}},\"b\":true},\"required\":[\"b\"],"
	    "\"anyOf\":[{\"$comment\":\"c\",\"type\":\"object\"}]}",
	    "{\"type\":[\"object\",\"null\"],\"properties\":{\"$ref\":{"
	    "\"type\":\"string\"},\"$defs\":{\"enum\":[{\"$ref\":\"#/x\"}],"
	    "\"default\":{\"$schema\":1}},\"b\":true},\"required\":[\"b\"],"
	    "\"anyOf\":[{\"type\":\"object\"}]}");
}

static void
test_schema_refs(void **state)
{
	(void)state;
	/* What stands beside it counts, through several too. */
	expect_schema(ROOT("\"a\":{\"$ref\":\"#/$defs/A\",\"description\":"
			   "\"x\"},\"b\":{\"items\":{\"$ref\":"
			   "\"#/$defs/B\"}}",
			  ",\"$defs\":{\"A\":{\"$ref\":\"#/$defs/B\","
			  "\"description\":\"y\",\"title\":\"t\"},"
			  "\"B\":{\"type\":\"string\",\"description\":\"z\","
			  "\"title\":\"u\"}}"),
	    ROOT("\"a\":{\"type\":\"string\",\"title\":\"t\","
		 "\"description\":\"x\"},\"b\":{\"items\":{\"type\":"
		 "\"string\",\"description\":\"z\",\"title\":\"u\"}}",
		""));
	/* Anywhere in the document, by names and numbers. */
	expect_schema(
	    ROOT("\"a/~b %\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":"
		 "\"integer\"}]},\"c\":{\"$ref\":"
		 "\"#/properties/a~1~0b%20%25/anyOf/1\"}",
		""),
	    ROOT("\"a/~b %\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":"
		 "\"integer\"}]},\"c\":{\"type\":\"integer\"}",
		""));
	/* Nothing there. */
	expect_schema(
	    ROOT("\"a\":{\"$ref\":\"#/$defs/A\"},\"b\":{\"$ref\":\"x.json\","
		 "\"type\":\"array\"},\"c\":{\"$ref\":\"#/type\"},\"d\":{"
		 "\"$ref\":\"#/%zz\"},\"e\":{\"anyOf\":[{\"$ref\":"
		 "\"#/properties/e/anyOf/9\"}]}",
		""),
	    ROOT("\"a\":{\"type\":\"object\"},\"b\":{\"type\":\"array\"},"
		 "\"c\":{\"type\":\"object\"},\"d\":{\"type\":\"object\"},"
		 "\"e\":{\"anyOf\":[{\"type\":\"object\"}]}",
		""));
}

static void
test_schema_cycles(void **state)
{
	struct arena *a = arena_open(65536);
	struct buf b, out;

	(void)state;
	expect_schema(ROOT("\"a\":{\"$ref\":\"#\"}", ""),
	    ROOT("\"a\":{\"type\":\"object\"}", ""));
	expect_schema(ROOT("\"a\":{\"$ref\":\"#/$defs/N\"}",
			  ",\"$defs\":{\"N\":{\"type\":\"object\","
			  "\"properties\":{\"n\":{\"$ref\":\"#/$defs/N\"}}}}"),
	    ROOT("\"a\":" ROOT("\"n\":{\"type\":\"object\"}", ""), ""));
	/* Each twice as large as the one before: it stays bounded. */
	buf_init(&b, a);
	buf_init(&out, a);
	buf_lit(&b, "[{\"name\":\"f\",\"input_schema\":{\"$ref\":"
		    "\"#/$defs/d0\",\"$defs\":{");
	for (int i = 0; i < 40; i++)
		buf_printf(&b,
		    "%s\"d%d\":{\"properties\":{\"a\":{\"$ref\":"
		    "\"#/$defs/d%d\"},\"b\":{\"$ref\":\"#/$defs/d%d\"}}}",
		    i == 0 ? "" : ",", i, i + 1, i + 1);
	buf_lit(&b, "}}}]");
	wire_gemini.tools(&out, buf_str(&b), 0);
	assert_true(out.len > 1000 && out.len < 65536);
	assert_int_equal(
	    json_check(out.data, out.len, JSON_DEPTH_MAX, NULL), 0);
	arena_close(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_extra),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_thoughts),
		cmocka_unit_test(test_unsigned),
		cmocka_unit_test(test_foreign_anthropic),
		cmocka_unit_test(test_foreign_chat),
		cmocka_unit_test(test_foreign_responses),
		cmocka_unit_test(test_foreign_gemini),
		cmocka_unit_test(test_many_calls),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_result_images),
		cmocka_unit_test(test_media),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_thinking),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_tools),
		cmocka_unit_test(test_schema),
		cmocka_unit_test(test_schema_refs),
		cmocka_unit_test(test_schema_cycles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
