/* SPDX-License-Identifier: MIT */
/* Requests of the Chat Completions API and its dialects, by their rules. */
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
#include "model/chat_wire.h"
#include "model/strict.h"
#include "wire_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define HI ASKED("\"hi\"")
#define GO ASKED("\"go\"")
#define USER(c) "{\"role\":\"user\",\"content\":[" c "]}"
#define MODEL(c) "{\"role\":\"assistant\",\"content\":[" c "]}"
#define TEXT(t) "{\"type\":\"text\",\"text\":\"" t "\"}"
#define THINK(t) "{\"type\":\"thinking\",\"thinking\":\"" t "\"}"
#define CALL(id)                                                               \
	"{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"f\",\"input\":"   \
	"{\"a\":1}}"
#define RESULT(id, c)                                                          \
	"{\"type\":\"tool_result\",\"tool_use_id\":\"" id "\",\"content\":" c  \
	"}"
#define SOURCE(kind, source)                                                   \
	"{\"type\":\"" kind "\",\"source\":{\"type\":" source "}}"
#define IMAGE                                                                  \
	SOURCE("image",                                                        \
	    "\"base64\",\"media_type\":\"image/png\",\"data\":\"AA==\"")
#define PDF                                                                    \
	"{\"type\":\"document\",\"title\":\"t.pdf\",\"source\":{\"type\":"     \
	"\"base64\",\"media_type\":\"application/pdf\",\"data\":\"AA==\"}}"

/* What becomes of them. */
#define ASKED(content) "{\"role\":\"user\",\"content\":" content "}"
#define ANSWER(members) "{\"role\":\"assistant\"," members "}"
#define SYSTEM(t) "{\"role\":\"system\",\"content\":\"" t "\"}"
#define SAID(t) "\"content\":\"" t "\""
#define CALLED(id)                                                             \
	"\"tool_calls\":[{\"id\":\"" id                                        \
	"\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":" \
	"\"{\\\"a\\\":1}\"}}]"
#define TOOL(id, c)                                                            \
	"{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"" c "\"" \
	"}"
#define IMAGE_PART                                                             \
	"{\"type\":\"image_url\",\"image_url\":{\"url\":"                      \
	"\"data:image/png;base64,AA==\"}}"
#define PDF_PART                                                               \
	"{\"type\":\"file\",\"file\":{\"filename\":\"t.pdf\",\"file_data\":"   \
	"\"data:application/pdf;base64,AA==\"}}"
#define NO_IMAGE "[an image that this model cannot be shown]"
#define NO_PDF "[a document that this model cannot be shown]"
#define NO_RESULT "(there is no result)"
#define FROM TEXT("[from the result of f]")

static const struct wire_doc no_docs[1];

/* Of messages that are wanted. */
#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void
expect_messages(const struct wire_request *rq, const struct wire_doc *docs,
    size_t count, const char *const *list)
{
	struct arena *a = arena_open(4096);
	struct buf wanted;

	buf_init(&wanted, a);
	buf_putc(&wanted, '[');
	for (; *list != NULL; list++)
		buf_printf(&wanted, "%s%s", wanted.len > 1 ? "," : "", *list);
	buf_putc(&wanted, ']');
	expect_json("messages",
	    json_get(wire_body(a, &wire_chat, rq, docs, count), "messages"),
	    wanted.data);
	arena_close(&a);
}

static void
expect_docs(unsigned quirks, const struct wire_doc *docs, size_t count,
    const char *const *list)
{
	struct wire_model m = wire_model_of("m");
	const struct wire_request rq = { .model = &m };

	m.quirks = quirks;
	expect_messages(&rq, docs, count, list);
}

/* The body without its messages. */
static void
expect_rest(const struct wire_request *rq, const char *wanted)
{
	static const struct wire_doc docs[] = { { .text = HI } };
	struct arena *a = arena_open(4096);
	const struct json *body = wire_body(a, &wire_chat, rq, docs, 1);
	struct buf b;

	buf_init(&b, a);
	json_open(&b, NULL, '{');
	for (const struct json *j = json_first(body); j != NULL;
	     j = json_next(j))
		if (strcmp(json_name(j), "messages") != 0)
			json_add_json(&b, json_name(j), j);
	json_close(&b, '}');
	expect_json(
	    "body", json_parse(a, b.data, b.len, JSON_DEPTH_MAX, NULL), wanted);
	arena_close(&a);
}

/* ---- messages ---- */

static void
test_text(void **state)
{
	static const struct wire_doc docs[] = { { .text = HI },
		{ .text = MODEL(TEXT("a") "," TEXT("b")) },
		{ .text = USER(TEXT("x")) },
		{ .text = USER(TEXT("x") "," TEXT("") "," TEXT("y")) },
		{ .text = "{\"role\":\"assistant\",\"content\":\"c\"}" } };

	(void)state;
	expect_docs(0, docs, COUNT(docs),
	    LIST(HI, ANSWER(SAID("ab")), ASKED("\"x\""),
		USER(TEXT("x") "," TEXT("y")), ANSWER(SAID("c"))));
}

/* What has nothing in it adds nothing. */
static void
test_empty(void **state)
{
	static const struct wire_doc docs[] = {
		{ .text = ASKED("\"\"") },
		{ .text = USER("") },
		{ .text = MODEL("") },
		{ .text = USER(TEXT("")) },
		{ .text = MODEL(TEXT("")) },
		{ .text = MODEL(THINK("hm")) },
		{ .text = MODEL("{\"type\":\"native\",\"native\":{}}") },
		{ .text = USER(RESULT("c9", "\"of no call\"")) },
	};
	struct wire_model m = wire_model_of("m");
	struct wire_request rq = { .model = &m, .system = "S" };

	(void)state;
	expect_docs(0, docs, COUNT(docs), LIST(NULL));
	expect_docs(0, no_docs, 0, LIST(NULL));
	expect_messages(&rq, docs, COUNT(docs), LIST(SYSTEM("S")));
	rq.extra = "more";
	expect_messages(
	    &rq, docs, COUNT(docs), LIST(SYSTEM("S"), ASKED("\"more\"")));
}

/* Tool messages stand in the calls' order, then what the user says. */
static void
test_calls(void **state)
{
	static const struct wire_doc docs[] = { { .text = HI },
		{ .text = MODEL(TEXT("t") "," CALL("c1") "," CALL("c2")) },
		{ .text = USER(TEXT("and") "," RESULT("c2", "\"2\"") "," RESULT(
		      "c1", "[" TEXT("1") "," TEXT("one") "]")),
		    .calls = "{\"c1\":\"f\",\"c2\":\"f\"}" },
		{ .text = MODEL(CALL("c3")) },
		{ .text = USER(RESULT("c3", "\"\"")) } };
	static const char both[] =
	    "{\"role\":\"assistant\",\"content\":\"t\",\"tool_calls\":["
	    "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
	    "\"arguments\":\"{\\\"a\\\":1}\"}},"
	    "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"f\","
	    "\"arguments\":\"{\\\"a\\\":1}\"}}]}";

	(void)state;
	expect_docs(0, docs, COUNT(docs),
	    LIST(HI, both, TOOL("c1", "1\\none"), TOOL("c2", "2"),
		ASKED("\"and\""), ANSWER(CALLED("c3")),
		TOOL("c3", "(no output)")));
}

/* No call without a result, whatever comes behind it. */
static void
test_seal(void **state)
{
	static const struct wire_doc docs[] = { { .text = HI },
		{ .text = MODEL(CALL("c1")) }, { .text = GO },
		{ .text = USER(RESULT("c1", "\"late\"")) } };
	static const struct wire_doc again[] = { { .text = HI },
		{ .text = MODEL(CALL("c1")) }, { .text = MODEL(TEXT("a")) } };
	struct wire_model m = wire_model_of("m");
	const struct wire_request rq = { .model = &m, .extra = "x" };

	(void)state;
	expect_docs(0, docs, COUNT(docs),
	    LIST(HI, ANSWER(CALLED("c1")), TOOL("c1", NO_RESULT), GO));
	expect_docs(0, again, COUNT(again),
	    LIST(HI, ANSWER(CALLED("c1")), TOOL("c1", NO_RESULT),
		ANSWER(SAID("a"))));
	expect_docs(
	    0, docs, 2, LIST(HI, ANSWER(CALLED("c1")), TOOL("c1", NO_RESULT)));
	expect_messages(&rq, docs, 2,
	    LIST(HI, ANSWER(CALLED("c1")), TOOL("c1", NO_RESULT),
		ASKED("\"x\"")));
}

static void
test_media(void **state)
{
	static const struct wire_doc docs[] = {
		{ .text = USER(TEXT("see") "," IMAGE "," PDF) },
		{ .text = USER(IMAGE) },
		{ .text = USER(
		      SOURCE("image", "\"url\",\"url\":\"https://x/y\"")) },
		{ .text = USER(SOURCE("document",
		      "\"text\",\"media_type\":\"text/plain\",\"data\":"
		      "\"d\"")) },
		{ .text = USER(
		      SOURCE("document", "\"url\",\"url\":\"https://x/y\"")) },
		{ .text = USER(SOURCE("image", "\"file\",\"file_id\":\"f\"")) },
		{ .text = MODEL(IMAGE) },
	};

	(void)state;
	expect_docs(0, docs, COUNT(docs),
	    LIST(USER(TEXT("see") "," IMAGE_PART "," PDF_PART),
		USER(IMAGE_PART),
		USER("{\"type\":\"image_url\",\"image_url\":{\"url\":"
		     "\"https://x/y\"}}"),
		ASKED("\"d\""), ASKED("\"" NO_PDF "\""),
		ASKED("\"" NO_IMAGE "\"")));
	expect_docs(MODEL_QUIRK_NO_IMAGES | MODEL_QUIRK_NO_FILES, docs, 4,
	    LIST(USER(TEXT("see") "," TEXT(NO_IMAGE) "," TEXT(NO_PDF)),
		ASKED("\"" NO_IMAGE "\""), ASKED("\"" NO_IMAGE "\""),
		ASKED("\"d\"")));
}

/* Tool messages are text: images of results follow them all. */
static void
test_result_media(void **state)
{
	static const struct wire_doc docs[] = { { .text = HI },
		{ .text = MODEL(CALL("c1")) },
		{ .text = USER(RESULT(
		      "c1", "[" TEXT("r") "," IMAGE "]") "," TEXT("s")) },
		{ .text = MODEL(CALL("c2")) },
		{ .text = USER(RESULT("c2", "[" IMAGE "," PDF "]")) } };

	(void)state;
	expect_docs(0, docs, COUNT(docs),
	    LIST(HI, ANSWER(CALLED("c1")), TOOL("c1", "r"),
		USER(FROM "," IMAGE_PART "," TEXT("s")), ANSWER(CALLED("c2")),
		TOOL("c2", "(it is in the next message)"),
		USER(FROM "," IMAGE_PART "," PDF_PART)));
	expect_docs(MODEL_QUIRK_NO_IMAGES, docs, 3,
	    LIST(HI, ANSWER(CALLED("c1")), TOOL("c1", "r\\n" NO_IMAGE),
		ASKED("\"s\"")));
}

static void
test_refusal(void **state)
{
	struct wire_doc docs[] = { { .text = HI },
		{ .text = MODEL("{\"type\":\"text\",\"text\":\"no\","
				"\"refusal\":true}") } };

	(void)state;
	expect_docs(0, docs, COUNT(docs),
	    LIST(HI, ANSWER("\"content\":null,\"refusal\":\"no\"")));
	docs[1].foreign = 1;
	expect_docs(0, docs, COUNT(docs), LIST(HI, ANSWER(SAID("no"))));
}

/* ---- what was thought ---- */

static const struct wire_doc round_docs[] = { { .text = HI },
	{ .text = MODEL(THINK("one") "," CALL("c1")) },
	{ .text = USER(RESULT("c1", "\"r\"")) },
	{ .text = MODEL(THINK("two") "," CALL("c2")) },
	{ .text = USER(RESULT("c2", "\"r\"")) },
	{ .text = MODEL(THINK("three") "," TEXT("a")) }, { .text = GO },
	{ .text = MODEL(THINK("four") "," CALL("c4")) },
	{ .text = USER(RESULT("c4", "\"r\"")) } };

/* With what went back of each answer. */
#define ROUND(one, two, three, four)                                           \
	LIST(HI, ANSWER(one CALLED("c1")), TOOL("c1", "r"),                    \
	    ANSWER(two CALLED("c2")), TOOL("c2", "r"),                         \
	    ANSWER(three SAID("a")), GO, ANSWER(four CALLED("c4")),            \
	    TOOL("c4", "r"))
#define CONTENT(t) "\"reasoning_content\":\"" t "\","
#define REASONING(t) "\"reasoning\":\"" t "\","

static void
test_echo(void **state)
{
	struct wire_doc foreign[COUNT(round_docs)];

	(void)state;
	expect_docs(0, round_docs, COUNT(round_docs), ROUND("", "", "", ""));
	expect_docs(MODEL_QUIRK_ECHO_CALLS, round_docs, COUNT(round_docs),
	    ROUND(CONTENT("one"), CONTENT("two"), CONTENT("three"),
		CONTENT("four")));
	memcpy(foreign, round_docs, sizeof(foreign));
	for (size_t i = 0; i < COUNT(foreign) - 2; i++)
		foreign[i].foreign = 1;
	expect_docs(MODEL_QUIRK_ECHO_CALLS, foreign, COUNT(foreign),
	    ROUND(CONTENT(""), CONTENT(""), CONTENT(""), CONTENT("four")));
	expect_docs(MODEL_QUIRK_ECHO_ROUND, foreign, COUNT(foreign),
	    ROUND("", "", "", CONTENT("four")));
}

/* Until the user speaks. */
static void
test_echo_round(void **state)
{
	unsigned quirks = MODEL_QUIRK_ECHO_ROUND | MODEL_QUIRK_REASONING;

	(void)state;
	expect_docs(quirks, round_docs, 5,
	    LIST(HI, ANSWER(REASONING("one") CALLED("c1")), TOOL("c1", "r"),
		ANSWER(REASONING("two") CALLED("c2")), TOOL("c2", "r")));
	expect_docs(quirks, round_docs, COUNT(round_docs),
	    ROUND("", "", "", REASONING("four")));
}

/* The calls of a message whose reasoning is cut are found all the same. */
static void
test_cut_and_seal(void **state)
{
	struct wire_doc docs[5];

	(void)state;
	memcpy(docs, round_docs, sizeof(docs));
	docs[4] = (struct wire_doc){ .text = GO };
	expect_docs(MODEL_QUIRK_ECHO_ROUND, docs, COUNT(docs),
	    LIST(HI, ANSWER(CALLED("c1")), TOOL("c1", "r"),
		ANSWER(CALLED("c2")), TOOL("c2", NO_RESULT), GO));
}

/* A round of more answers than places are kept of, with texts that look like
 * what is searched for. */
static void
test_many_cuts(void **state)
{
	enum { ANSWERS = WIRE_CUTS_MAX + 20 };
	static struct wire_doc docs[2 * ANSWERS + 2];
	struct wire_model plain = wire_model_of("m"), m = plain;
	struct arena *a = arena_open(65536);
	const struct wire_request rq = { .model = &m },
				  rq_plain = { .model = &plain };
	struct buf b;
	size_t n = 0;

	(void)state;
	m.quirks = MODEL_QUIRK_ECHO_ROUND;
	docs[n++].text = HI;
	for (int i = 0; i < ANSWERS; i++) {
		docs[n++].text = arena_printf(
		    a, MODEL(THINK("a\\\"b\\\\") "," CALL("c%d")), i);
		docs[n++].text = arena_printf(a,
		    USER(
			RESULT("c%d", "\"{\\\"role\\\":\\\"assistant\\\","
				      "\\\"reasoning_content\\\":\\\"x\\\"\"")),
		    i);
	}
	buf_init(&b, a);
	json_print(&b, wire_body(a, &wire_chat, &rq, docs, n));
	n = 0;
	for (const char *p = b.data;
	     (p = strstr(p, "\"reasoning_content\":\"a")) != NULL; p++)
		n++;
	assert_int_equal(n, ANSWERS);
	docs[COUNT(docs) - 1].text = GO;
	buf_clear(&b);
	json_print(&b, wire_body(a, &wire_chat, &rq_plain, docs, COUNT(docs)));
	expect_json(
	    "cut", wire_body(a, &wire_chat, &rq, docs, COUNT(docs)), b.data);
	arena_close(&a);
}

/* What OpenRouter and Gemini want back as it came. */
static void
test_native(void **state)
{
	struct wire_doc docs[] = { { .text = HI },
		{ .text = MODEL("{\"type\":\"thinking\",\"thinking\":\"x\","
				"\"native\":{\"reasoning_details\":[{\"type\":"
				"\"reasoning.encrypted\",\"data\":\"d\"}]}},"
				"{\"type\":\"tool_use\",\"id\":\"c1\","
				"\"name\":\"f\",\"input\":{\"a\":1},"
				"\"native\":{\"extra_content\":{\"google\":"
				"{\"thought_signature\":\"s\"}}}}") },
		{ .text = USER(RESULT("c1", "\"r\"")) } };

	(void)state;
	expect_docs(MODEL_QUIRK_REASONING, docs, COUNT(docs),
	    LIST(HI,
		ANSWER("\"reasoning_details\":[{\"type\":"
		       "\"reasoning.encrypted\",\"data\":\"d\"}],"
		       "\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\","
		       "\"function\":{\"name\":\"f\",\"arguments\":"
		       "\"{\\\"a\\\":1}\"},\"extra_content\":{\"google\":"
		       "{\"thought_signature\":\"s\"}}}]"),
		TOOL("c1", "r")));
	docs[1].foreign = 1;
	expect_docs(MODEL_QUIRK_REASONING, docs, COUNT(docs),
	    LIST(HI, ANSWER(CALLED("c1")), TOOL("c1", "r")));
}

/* ---- what other families have left ---- */

static const char *const families[] = {
	/* Anthropic */
	"{\"type\":\"thinking\",\"thinking\":\"x\",\"signature\":\"s\"},"
	"{\"type\":\"native\",\"native\":{\"type\":\"redacted_thinking\","
	"\"data\":\"d\"}},{\"type\":\"text\",\"text\":\"a\",\"citations\":[],"
	"\"native\":{\"citations\":[]}},",
	/* OpenAI's Responses */
	"{\"type\":\"thinking\",\"thinking\":\"x\",\"native\":{\"type\":"
	"\"reasoning\",\"id\":\"rs_1\",\"encrypted_content\":\"e\"}},"
	"{\"type\":\"text\",\"text\":\"a\",\"native\":{\"id\":\"msg_1\"}},"
	"{\"type\":\"native\",\"native\":{\"type\":\"web_search_call\"}},",
	/* Gemini */
	"{\"type\":\"thinking\",\"thinking\":\"x\",\"native\":{\"thought\":"
	"true}},{\"type\":\"text\",\"text\":\"a\",\"native\":"
	"{\"thoughtSignature\":\"s\"}},{\"type\":\"text\",\"text\":\"\","
	"\"native\":{\"thoughtSignature\":\"s\"}},",
};

static void
test_foreign(void **state)
{
	struct arena *a = arena_open(4096);

	(void)state;
	for (size_t i = 0; i < COUNT(families); i++) {
		const struct wire_doc docs[] = { { .text = HI },
			{ .text = arena_printf(
			      a, MODEL("%s" CALL("c1")), families[i]),
			    .foreign = 1 },
			{ .text = USER(RESULT("c1", "\"r\"")) } };

		expect_docs(MODEL_QUIRK_ECHO_ROUND, docs, COUNT(docs),
		    LIST(HI, ANSWER(SAID("a") "," CALLED("c1")),
			TOOL("c1", "r")));
		expect_docs(MODEL_QUIRK_ECHO_CALLS, docs, COUNT(docs),
		    LIST(HI, ANSWER(CONTENT("") SAID("a") "," CALLED("c1")),
			TOOL("c1", "r")));
	}
	arena_close(&a);
}

/* ---- extra, and who may speak when ---- */

/* A message of its own, behind whatever is the last. */
static void
test_extra(void **state)
{
	static const struct wire_doc docs[] = { { .text = HI },
		{ .text = MODEL(CALL("c1")) },
		{ .text = USER(RESULT("c1", "\"r\"")) },
		{ .text = USER(IMAGE) } };
	struct wire_model m = wire_model_of("m");
	const struct wire_request rq = {
		.model = &m, .system = "S", .extra = "x\n"
	};

	(void)state;
	expect_messages(&rq, docs, 0, LIST(SYSTEM("S"), ASKED("\"x\\n\"")));
	expect_messages(&rq, docs, 1, LIST(SYSTEM("S"), HI, ASKED("\"x\\n\"")));
	expect_messages(&rq, docs, 3,
	    LIST(SYSTEM("S"), HI, ANSWER(CALLED("c1")), TOOL("c1", "r"),
		ASKED("\"x\\n\"")));
	expect_messages(&rq, docs, 4,
	    LIST(SYSTEM("S"), HI, ANSWER(CALLED("c1")), TOOL("c1", "r"),
		USER(IMAGE_PART), ASKED("\"x\\n\"")));
}

/* Mistral: short ids, and an answer between results and the user. */
static void
test_mistral(void **state)
{
	static const struct wire_doc docs[] = { { .text = HI },
		{ .text = MODEL(CALL("call_0123456789abcdefghjkmnpqrs")) },
		{ .text = USER(
		      RESULT("call_0123456789abcdefghjkmnpqrs", "\"x }\"")) },
		{ .text = GO }, { .text = USER(TEXT("says }")) },
		{ .text = GO } };
	struct arena *a = arena_open(4096);
	struct wire_model m = wire_model_of("m");
	const struct wire_request rq = { .model = &m, .extra = "x" };
	const struct json *list, *call, *j;
	const char *id;

	(void)state;
	m.quirks = MODEL_QUIRK_SHORT_IDS | MODEL_QUIRK_ANSWER_RESULTS;
	list = json_get(
	    wire_body(a, &wire_chat, &rq, docs, COUNT(docs)), "messages");
	assert_int_equal(json_count(list), 8);
	call = json_next(json_first(list));
	id = json_get_str(json_first(json_get(call, "tool_calls")), "id");
	assert_int_equal(strlen(id), 9);
	assert_int_equal(strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789"), 9);
	j = json_next(call);
	assert_string_equal(json_get_str(j, "tool_call_id"), id);
	expect_json("bridge", json_next(j),
	    "{\"role\":\"assistant\",\"content\":\"I have the results.\"}");
	expect_json("user", json_next(json_next(j)), GO);
	m.quirks = MODEL_QUIRK_ANSWER_RESULTS | MODEL_QUIRK_ECHO_CALLS;
	list = json_get(wire_body(a, &wire_chat, &rq, docs, 3), "messages");
	assert_int_equal(json_count(list), 5);
	j = json_next(json_next(json_next(json_first(list))));
	expect_json("bridge with reasoning", j,
	    ANSWER(CONTENT("") SAID("I have the results.")));
	arena_close(&a);
}

/* ---- the rest of the body ---- */

#define STREAM "\"model\":\"m\",\"stream\":true,"
#define USAGE "\"stream_options\":{\"include_usage\":true},"
#define ONE_TOOL "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"

static void
test_rest(void **state)
{
	struct wire_model m = { .id = "m",
		.max_tokens = 5000,
		.thinking = 2000,
		.effort = "high",
		.members = "{\"temperature\":1}",
		.quirks = MODEL_QUIRK_OBFUSCATION,
		.cache_markers = 1 };
	struct wire_request rq = { .model = &m,
		.tools = ONE_TOOL,
		.tool_choice = "=f",
		.schema = "{\"type\":\"object\",\"properties\":{}}" };

	(void)state;
	expect_rest(&rq,
	    "{" STREAM "\"stream_options\":{\"include_usage\":true,"
	    "\"include_obfuscation\":false},\"max_completion_tokens\":5000,"
	    "\"tools\":" ONE_TOOL ",\"tool_choice\":{\"type\":\"function\","
	    "\"function\":{\"name\":\"f\"}},\"reasoning_effort\":\"high\","
	    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":"
	    "{\"name\":\"answer\",\"schema\":{\"type\":\"object\","
	    "\"properties\":{}},\"strict\":false}},\"temperature\":1}");
	m = wire_model_of("m");
	m.max_tokens = 0;
	m.quirks = MODEL_QUIRK_NO_STREAM_OPTIONS;
	rq = (struct wire_request){
		.model = &m, .tools = "[]", .tool_choice = "any"
	};
	expect_rest(&rq, "{\"model\":\"m\",\"stream\":true}");
	m.max_tokens = 7;
	m.quirks |= MODEL_QUIRK_MAX_TOKENS;
	expect_rest(&rq, "{" STREAM "\"max_tokens\":7}");
}

/* How each asks for thinking: quirk, tokens, effort, and what is said. */
static void
test_thinking(void **state)
{
	static const struct {
		unsigned quirk;
		int64_t thinking;
		const char *effort, *wanted;
	} asked[] = {
		{ 0, 2000, "", "" },
		{ 0, 0, "none", ",\"reasoning_effort\":\"none\"" },
		{ MODEL_QUIRK_REASONING_OBJECT, 0, "", "" },
		{ MODEL_QUIRK_REASONING_OBJECT, 2000, "high",
		    ",\"reasoning\":{\"max_tokens\":2000}" },
		{ MODEL_QUIRK_REASONING_OBJECT, 0, "low",
		    ",\"reasoning\":{\"effort\":\"low\"}" },
		{ MODEL_QUIRK_REASONING_OBJECT, 2000, "none",
		    ",\"reasoning\":{\"effort\":\"none\"}" },
		{ MODEL_QUIRK_ENABLE_THINKING, 0, "", "" },
		{ MODEL_QUIRK_ENABLE_THINKING, 2000, "",
		    ",\"enable_thinking\":true,\"thinking_budget\":2000" },
		{ MODEL_QUIRK_ENABLE_THINKING, 0, "low",
		    ",\"enable_thinking\":true" },
		{ MODEL_QUIRK_ENABLE_THINKING, 2000, "none",
		    ",\"enable_thinking\":false" },
		{ MODEL_QUIRK_THINKING_TYPE, 0, "", "" },
		{ MODEL_QUIRK_THINKING_TYPE, 2000, "max",
		    ",\"thinking\":{\"type\":\"enabled\"},"
		    "\"reasoning_effort\":\"max\"" },
		{ MODEL_QUIRK_THINKING_TYPE, 2000, "none",
		    ",\"thinking\":{\"type\":\"disabled\"}" },
		{ MODEL_QUIRK_TEMPLATE_THINKING, 0, "medium",
		    ",\"reasoning_effort\":\"medium\"" },
		{ MODEL_QUIRK_TEMPLATE_THINKING, 2000, "",
		    ",\"chat_template_kwargs\":{\"enable_thinking\":true}" },
		{ MODEL_QUIRK_TEMPLATE_THINKING, 0, "none",
		    ",\"chat_template_kwargs\":{\"enable_thinking\":false}" },
	};
	struct wire_model m = wire_model_of("m");
	const struct wire_request rq = { .model = &m };
	char wanted[256];

	(void)state;
	for (size_t i = 0; i < COUNT(asked); i++) {
		m.quirks = asked[i].quirk | MODEL_QUIRK_NO_STREAM_OPTIONS |
			   MODEL_QUIRK_MAX_TOKENS;
		m.thinking = asked[i].thinking;
		m.effort = asked[i].effort;
		snprintf(wanted, sizeof(wanted),
		    "{" STREAM "\"max_tokens\":100%s}", asked[i].wanted);
		expect_rest(&rq, wanted);
	}
}

static void
test_choice(void **state)
{
	static const struct {
		unsigned quirk;
		const char *effort, *choice, *wanted;
	} asked[] = {
		{ 0, "", "", "" },
		{ 0, "", "auto", ",\"tool_choice\":\"auto\"" },
		{ 0, "", "none", ",\"tool_choice\":\"none\"" },
		{ 0, "", "any", ",\"tool_choice\":\"required\"" },
		{ MODEL_QUIRK_FREE_CHOICE, "", "any",
		    ",\"tool_choice\":\"auto\"" },
		{ MODEL_QUIRK_FREE_CHOICE, "", "=f",
		    ",\"tool_choice\":\"auto\"" },
		{ MODEL_QUIRK_FREE_CHOICE, "", "none",
		    ",\"tool_choice\":\"none\"" },
		{ MODEL_QUIRK_FREE_CHOICE | MODEL_QUIRK_THINKING_TYPE, "none",
		    "any",
		    ",\"tool_choice\":\"required\",\"thinking\":{\"type\":"
		    "\"disabled\"}" },
	};
	struct wire_model m = wire_model_of("m");
	struct wire_request rq = { .model = &m, .tools = ONE_TOOL };
	char wanted[256];

	(void)state;
	for (size_t i = 0; i < COUNT(asked); i++) {
		m.quirks = asked[i].quirk | MODEL_QUIRK_NO_STREAM_OPTIONS |
			   MODEL_QUIRK_MAX_TOKENS;
		m.effort = asked[i].effort;
		rq.tool_choice = asked[i].choice;
		snprintf(wanted, sizeof(wanted),
		    "{" STREAM "\"max_tokens\":100,\"tools\":" ONE_TOOL "%s}",
		    asked[i].wanted);
		expect_rest(&rq, wanted);
	}
}

/* One that has no schemas is told. */
static void
test_no_schema(void **state)
{
	static const struct wire_doc docs[] = { { .text = HI } };
	struct wire_model m = wire_model_of("m");
	struct wire_request rq = { .model = &m,
		.schema = "{\"type\":\"object\"}" };

	(void)state;
	m.quirks = MODEL_QUIRK_NO_SCHEMA | MODEL_QUIRK_MAX_TOKENS;
	expect_rest(&rq,
	    "{" STREAM USAGE "\"max_tokens\":100,\"response_format\":"
	    "{\"type\":\"json_object\"}}");
#define TOLD                                                                   \
	"Answer with a JSON object, and nothing else, that fits this JSON "    \
	"schema:\\n{\\\"type\\\":\\\"object\\\"}"
	expect_messages(&rq, docs, 1, LIST(SYSTEM(TOLD), HI));
	rq.system = "S";
	expect_messages(&rq, docs, 1, LIST(SYSTEM("S\\n\\n" TOLD), HI));
}

static void
test_strict(void **state)
{
	static const struct {
		const char *schema;
		int strict;
	} schemas[] = {
#define AB "{\"type\":\"object\",\"properties\":{\"a\":"
#define CLOSED "},\"required\":[\"a\"],\"additionalProperties\":false}"
		{ AB "{\"type\":\"string\"}" CLOSED, 1 },
		{ AB "{\"type\":\"array\",\"items\":" AB
		     "{\"type\":[\"string\",\"null\"]}" CLOSED "}" CLOSED,
		    1 },
		{ AB "{\"type\":\"array\",\"items\":{\"type\":\"object\"}"
		     "}" CLOSED,
		    0 },
		{ AB "{\"oneOf\":[]}" CLOSED, 0 },
		{ AB "{\"type\":\"string\"}},\"required\":[\"a\"]}", 0 },
		{ AB "{\"type\":\"string\"}},\"additionalProperties\":false}",
		    0 },
		{ "{\"type\":\"string\"}", 0 },
		{ "{}", 0 },
		{ "[]", 0 },
	};
	struct arena *a = arena_open(4096);

	(void)state;
	for (size_t i = 0; i < COUNT(schemas); i++)
		if (strict_fits(json_parse(a, schemas[i].schema,
			strlen(schemas[i].schema), 32, NULL)) !=
		    schemas[i].strict)
			fail_msg("%s", schemas[i].schema);
	arena_close(&a);
}

static void
test_tools(void **state)
{
	struct arena *a = arena_open(4096);
	struct buf b;

	(void)state;
	buf_init(&b, a);
	wire_chat.tools(&b,
	    "[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":"
	    "\"object\",\"properties\":{\"x\":{}},\"required\":[\"x\"]}},"
	    "{\"name\":\"g\",\"description\":\"\",\"input_schema\":{}},"
	    "{\"name\":\"h\",\"input_schema\":{\"type\":\"object\"}}]",
	    0);
#define NOTHING "\"parameters\":{\"type\":\"object\",\"properties\":{}}"
	expect_json("tools", json_parse(a, b.data, b.len, 32, NULL),
	    "[{\"type\":\"function\",\"function\":{\"name\":\"f\","
	    "\"description\":\"d\",\"parameters\":{\"type\":\"object\","
	    "\"properties\":{\"x\":{}},\"required\":[\"x\"]}}},"
	    "{\"type\":\"function\",\"function\":{\"name\":\"g\"," NOTHING "}},"
	    "{\"type\":\"function\",\"function\":{\"name\":\"h\"," NOTHING
	    "}}]");
	arena_close(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_seal),
		cmocka_unit_test(test_media),
		cmocka_unit_test(test_result_media),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_echo_round),
		cmocka_unit_test(test_cut_and_seal),
		cmocka_unit_test(test_many_cuts),
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_extra),
		cmocka_unit_test(test_mistral),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_thinking),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_no_schema),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_tools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
