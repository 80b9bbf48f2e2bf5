/* SPDX-License-Identifier: MIT */
/* Requests of OpenAI's Responses API. In the JSON here ' stands for ". */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "model/responses_wire_priv.h"
#include "model/strict.h"
#include "wire_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *
quoted(struct arena *a, const char *text)
{
	char *s = arena_strdup(a, text);

	for (char *p = s; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	return s;
}

/* ---- messages ---- */

#define USER(c) "{'role':'user','content':" c "}"
#define MODEL(c) "{'role':'assistant','content':" c "}"
#define INPUT(c) "{'type':'message','role':'user','content':" c "}"
#define SAID(c) "{'type':'message','role':'assistant','content':" c "}"
#define TEXT(t) "{'type':'text','text':'" t "'}"
#define PART(t) "{'type':'input_text','text':'" t "'}"
#define OUT(t) "{'type':'output_text','text':'" t "','annotations':[]}"
#define RESULT(c)                                                              \
	"{'type':'tool_result','tool_use_id':'call_1','content':" c "}"
#define OUTPUT(c)                                                              \
	"{'type':'function_call_output','call_id':'call_1','output':" c "}"
#define CALL(more)                                                             \
	"{'type':'tool_use','id':'call_1','name':'f','input':{'a':[1,'x']"     \
	"}" more "}"
#define FUNCTION(more)                                                         \
	"{'type':'function_call'," more "'call_id':'call_1','name':'f',"       \
	"'arguments':'{\\'a\\':[1,\\'x\\']}'}"
#define REASONING(id)                                                          \
	"{'type':'reasoning','id':'" id "','summary':[{'type':"                \
	"'summary_text','text':'hm'}],'encrypted_content':'E'}"
#define UNKEPT(id) "{'type':'reasoning','id':'" id "','summary':[]}"
#define THOUGHT(native)                                                        \
	"{'type':'thinking','thinking':'hm','native':" native "}"
#define ITEM(id) "{'type':'message','id':'" id "','role':'assistant'}"
#define CALL_ITEM                                                              \
	",'native':{'type':'function_call','id':'fc_1','status':'completed'}"
#define BOTH(id, other) THOUGHT(REASONING(id)) "," THOUGHT(UNKEPT(other))
#define ITEM_OF(id, parts)                                                     \
	"{'type':'message','id':'" id "','role':'assistant','content':[" parts \
	"]}"
#define PHASE                                                                  \
	"{'type':'message','id':'msg_1','role':'assistant','phase':"           \
	"'commentary'}"
#define OWN_TEXT(t, native) "{'type':'text','text':'" t "','native':" native "}"
#define OPAQUE(native) "{'type':'native','native':" native "}"
#define SEARCH                                                                 \
	"{'type':'web_search_call','id':'ws_1','status':'completed',"          \
	"'action':{'type':'search','query':'q'}}"
#define SHELL "{'type':'shell_call','id':'sh_1','call_id':'x'}"
#define SHELL_OUTPUT                                                           \
	"{'type':'shell_call_output','id':'so_1','call_id':'x','output':[]}"

/* A message, and the items that come of it. */
struct message_case {
	const char *what, *doc, *items;
};

static void
expect_messages(const struct message_case *cases, size_t count, int foreign)
{
	struct arena *a = arena_open(4096);
	struct wire_model m = wire_model_of("m");
	const struct wire_request rq = { .model = &m };
	struct wire_doc doc = { .foreign = foreign };
	const struct json *body;
	struct wire_text t;

	for (size_t i = 0; i < count; i++) {
		doc.text = quoted(a, cases[i].doc);
		body = wire_body(a, &wire_responses, &rq, &doc, 1);
		expect_json(cases[i].what, json_get(body, "input"),
		    quoted(a, cases[i].items));
		wire_text_make(a, &t, &wire_responses, &m, &doc, 1);
		assert_int_equal(t.shown, json_count(json_get(body, "input")));
	}
	arena_close(&a);
}

static const struct message_case user_cases[] = {
	{ "a text", USER("'hi'"), "[" INPUT("'hi'") "]" },
	{ "blocks", USER("[" TEXT("a") "," TEXT("b") "]"),
	    "[" INPUT("[" PART("a") "," PART("b") "]") "]" },
	{ "an empty text beside another", USER("[" TEXT("") "," TEXT("b") "]"),
	    "[" INPUT("[" PART("b") "]") "]" },
	{ "nothing but an empty text", USER("[" TEXT("") "]"), "[]" },
	{ "an empty text", USER("''"), "[]" },
	{ "no blocks", USER("[]"), "[]" },
	{ "what is not known", USER("[{'type':'odd','text':'x'}]"), "[]" },
	{ "an image",
	    USER("[{'type':'image','source':{'type':'base64','media_type':"
		 "'image/png','data':'AAAA'}}]"),
	    "[" INPUT("[{'type':'input_image','image_url':"
		      "'data:image/png;base64,AAAA','detail':'auto'}]") "]" },
	{ "an image elsewhere",
	    USER(
		"[{'type':'image','source':{'type':'url','url':'https://x'}}]"),
	    "[" INPUT("[{'type':'input_image','image_url':'https://x',"
		      "'detail':'auto'}]") "]" },
	{ "an image of no known source",
	    USER("[{'type':'image','source':{'type':'file','file_id':'x'}},"
		 "{'type':'image','source':{'type':'base64'}},"
		 "{'type':'image'}]"),
	    "[]" },
	{ "a PDF",
	    USER("[{'type':'document','source':{'type':'base64','media_type':"
		 "'application/pdf','data':'AAAA'}}]"),
	    "[" INPUT("[{'type':'input_file','filename':'document.pdf',"
		      "'file_data':'data:application/pdf;base64,AAAA'}]") "]" },
	{ "PDFs with titles",
	    USER("[{'type':'document','title':'T','source':{'type':'base64',"
		 "'media_type':'application/pdf','data':'AAAA'}},"
		 "{'type':'document','title':'t.pdf','context':'c','source':"
		 "{'type':'base64','media_type':'application/pdf',"
		 "'data':'AAAA'}}]"),
	    "[" INPUT("[{'type':'input_file','filename':'T.pdf',"
		      "'file_data':'data:application/pdf;base64,AAAA'}"
		      "," PART("c") ",{'type':'input_file','filename':"
				    "'t.pdf','file_data':"
				    "'data:application/pdf;base64,AAAA'}"
				    "]") "]" },
	{ "a document elsewhere",
	    USER("[{'type':'document','source':{'type':'url','url':'https://x'"
		 "}}]"),
	    "[" INPUT("[{'type':'input_file','file_url':'https://x'}]") "]" },
	{ "a document of no known source",
	    USER("[{'type':'document','source':{'type':'file','file_id':'x'"
		 "}}]"),
	    "[]" },
	{ "a result", USER("[" RESULT("'ok'") "]"), "[" OUTPUT("'ok'") "]" },
	{ "an empty result", USER("[" RESULT("''") "]"), "[" OUTPUT("''") "]" },
	{ "a failed result without a content",
	    USER("[{'type':'tool_result','tool_use_id':'call_1',"
		 "'is_error':true}]"),
	    "[" OUTPUT("''") "]" },
	{ "a result of texts",
	    USER("[" RESULT(
		"[" TEXT("a") "," TEXT("") "," TEXT("b\\n") "]") "]"),
	    "[" OUTPUT("'a\\nb\\n'") "]" },
	{ "a result with an image",
	    USER("[" RESULT("[" TEXT("a") ",{'type':'image','source':{'type':"
					  "'base64','media_type':'image/png',"
					  "'data':'AAAA'}}]") "]"),
	    "[" OUTPUT("[" PART("a") ",{'type':'input_image','image_url':"
				     "'data:image/png;base64,AAAA',"
				     "'detail':'auto'}]") "]" },
	{ "a result of which nothing is left",
	    USER("[" RESULT("[{'type':'image'}]") "]"), "[" OUTPUT("''") "]" },
	{ "results, and a text behind them",
	    USER("[" RESULT("'1'") ",{'type':'tool_result','tool_use_id':"
				   "'call_2','content':'2'}," TEXT("t") "]"),
	    "[" OUTPUT("'1'") ",{'type':'function_call_output','call_id':"
			      "'call_2','output':'2'}," INPUT(
				  "[" PART("t") "]") "]" },
};

static void
test_user(void **state)
{
	(void)state;
	expect_messages(user_cases, COUNT(user_cases), 0);
}

static const struct message_case own_cases[] = {
	{ "a text", MODEL("'hi'"), "[" SAID("'hi'") "]" },
	{ "an empty text", MODEL("''"), "[]" },
	{ "a text without an item", MODEL("[" TEXT("hi") "]"),
	    "[" SAID("'hi'") "]" },
	{ "all of it",
	    MODEL("[" THOUGHT(REASONING("rs_1")) "," OWN_TEXT(
		"t", PHASE) "," CALL(CALL_ITEM) "]"),
	    "[" REASONING(
		"rs_1") ",{'type':'message','id':'msg_1',"
			"'role':'assistant','phase':'commentary','content':"
			"[" OUT("t") "]}," FUNCTION(
			    "'id':'fc_1','status':'completed',") "]" },
	{ "parallel calls",
	    MODEL("[" CALL("") ",{'type':'tool_use','id':'call_2','name':'g',"
			       "'input':{}}]"),
	    "[" FUNCTION("") ",{'type':'function_call','call_id':'call_2',"
			     "'name':'g','arguments':'{}'}]" },
	{ "a call of a tool in the provider's own form",
	    MODEL("[" CALL(",'native':{'type':'custom_tool_call','id':'ct_1',"
			   "'input':'x'}") "]"),
	    "[" FUNCTION("") "]" },
	{ "reasoning in a row",
	    MODEL("[" THOUGHT(REASONING("rs_1")) "," THOUGHT(
		REASONING("rs_2")) "," OWN_TEXT("t", ITEM("msg_1")) "]"),
	    "[" REASONING("rs_1") "," REASONING("rs_2") "," ITEM_OF(
		"msg_1", OUT("t")) "]" },
	{ "reasoning for nothing",
	    MODEL("[" OWN_TEXT("t", ITEM("msg_1")) "," THOUGHT(
		REASONING("rs_1")) "]"),
	    "[" ITEM_OF("msg_1", OUT("t")) "]" },
	{ "nothing but reasoning", MODEL("[" THOUGHT(REASONING("rs_1")) "]"),
	    "[]" },
	{ "reasoning for an empty text, and a call behind it",
	    MODEL("[" THOUGHT(REASONING("rs_1")) "," OWN_TEXT(
		"", ITEM("msg_1")) "," CALL(CALL_ITEM) "]"),
	    "[" FUNCTION("'status':'completed',") "]" },
	{ "reasoning that is only kept there",
	    MODEL("[" THOUGHT(UNKEPT("rs_1")) "," OWN_TEXT("t", PHASE) "," CALL(
		CALL_ITEM) "]"),
	    "[{'type':'message','role':'assistant','phase':'commentary',"
	    "'content':'t'}," FUNCTION("'status':'completed',") "]" },
	{ "reasoning half of which is only kept there, and whole reasoning",
	    MODEL("[" BOTH("rs_1", "rs_2") "," OWN_TEXT("t",
		ITEM("msg_1")) "," THOUGHT(REASONING("rs_3")) "," OWN_TEXT("u",
		ITEM("msg_2")) "]"),
	    "[" SAID("'t'") "," REASONING("rs_3") "," ITEM_OF(
		"msg_2", OUT("u")) "]" },
	{ "reasoning that an interrupt has left without its form",
	    MODEL("[{'type':'thinking','thinking':'hm'}," TEXT("t") "]"),
	    "[" SAID("'t'") "]" },
	{ "reasoning in plain",
	    MODEL("[" THOUGHT(
		"{'type':'reasoning','id':'rs_1','content':"
		"[{'type':'reasoning_text','text':'hm'}]}") "," OWN_TEXT("t",
		ITEM("msg_1")) "]"),
	    "[{'type':'reasoning','id':'rs_1','summary':[],'content':"
	    "[{'type':'reasoning_text','text':'hm'}]}," ITEM_OF(
		"msg_1", OUT("t")) "]" },
	{ "a refusal",
	    MODEL("[{'type':'text','text':'no','refusal':true,"
		  "'native':" ITEM("msg_1") "}]"),
	    "[{'type':'message','id':'msg_1','role':'assistant','content':"
	    "[{'type':'refusal','refusal':'no'}]}]" },
	{ "a refusal behind a text of the same item",
	    MODEL("[" OWN_TEXT("t", ITEM("msg_1")) ",{'type':'text','text':"
						   "'no','refusal':true}]"),
	    "[{'type':'message','id':'msg_1','role':'assistant','content':"
	    "[" OUT("t") ",{'type':'refusal','refusal':'no'}]}]" },
	{ "a refusal behind the text of another item",
	    MODEL("[" OWN_TEXT(
		"t", ITEM("msg_1")) ",{'type':'text','text':"
				    "'no','refusal':true,'native':" ITEM(
					"msg_2") "}]"),
	    "[" ITEM_OF("msg_1", OUT("t")) "," ITEM_OF(
		"msg_2", "{'type':'refusal','refusal':'no'}") "]" },
	{ "a refusal without an item",
	    MODEL("[{'type':'text','text':'no','refusal':true}]"),
	    "[" SAID("'no'") "]" },
	{ "a message without an id",
	    MODEL("[" OWN_TEXT("t", "{'type':'message','role':"
				    "'assistant'}") "]"),
	    "[" SAID("'t'") "]" },
	{ "what the provider's own tools did",
	    MODEL("[" THOUGHT(REASONING("rs_1")) "," OPAQUE(SEARCH) "," TEXT(
		"t") "]"),
	    "[" REASONING("rs_1") "," SEARCH "," SAID("'t'") "]" },
	{ "a call there with its result",
	    MODEL("[" OPAQUE(SHELL) "," OPAQUE(SHELL_OUTPUT) "]"),
	    "[" SHELL "," SHELL_OUTPUT "]" },
	{ "what they did, after reasoning that is only kept there",
	    MODEL("[" THOUGHT(UNKEPT("rs_1")) "," OPAQUE(SEARCH) "," OPAQUE(
		SHELL) "," OPAQUE(SHELL_OUTPUT) "," TEXT("t") "]"),
	    "[" SAID("'t'") "]" },
	{ "a call there, reasoning, and its result",
	    MODEL("[" OPAQUE(SHELL) "," THOUGHT(REASONING("rs_1")) "," OPAQUE(
		SHELL_OUTPUT) "," OPAQUE(SEARCH) "," TEXT("t") "]"),
	    "[" SAID("'t'") "]" },
	{ "a question there that waits for an answer",
	    MODEL(
		"[" OPAQUE("{'type':'mcp_approval_request','id':'m'}") "," OPAQUE(
		    SEARCH) "]"),
	    "[" SEARCH "]" },
	{ "a call there that waits for a result",
	    MODEL("[" THOUGHT(REASONING("rs_1")) "," OPAQUE(SHELL) "," OPAQUE(
		"{'type':'mcp_approval_request','id':'m'}") "," TEXT("t") "]"),
	    "[" SAID("'t'") "]" },
};

static void
test_own(void **state)
{
	(void)state;
	expect_messages(own_cases, COUNT(own_cases), 0);
}

/* Of each other family, and of another model of this API. */
static const struct message_case foreign_cases[] = {
	{ "Anthropic's",
	    MODEL("[{'type':'thinking','thinking':'hm','signature':'S'},"
		  "{'type':'redacted_thinking','data':'D'},"
		  "{'type':'server_tool_use','id':'s','name':'web_search',"
		  "'input':{}},{'type':'web_search_tool_result',"
		  "'tool_use_id':'s','content':[]},"
		  "{'type':'text','text':'t','citations':[{'url':'u'}]}," CALL(
		      "") "]"),
	    "[" SAID("'t'") "," FUNCTION("") "]" },
	{ "of Chat Completions",
	    MODEL("[{'type':'thinking','thinking':'hm','native':"
		  "{'reasoning_details':[{'id':'x'}]}},"
		  "{'type':'text','text':'t','refusal':true}," CALL("") "]"),
	    "[" SAID("'t'") "," FUNCTION("") "]" },
	{ "Gemini's",
	    MODEL("[{'type':'thinking','thinking':'hm','native':{'thought':"
		  "true}},{'type':'text','text':'t','native':"
		  "{'thoughtSignature':'S'}}," CALL(
		      ",'native':{'thoughtSignature':'S','functionCall':"
		      "{'id':'g'}}") ",{'type':'native','native':"
				     "{'executableCode':{'code':'1'}}}]"),
	    "[" SAID("'t'") "," FUNCTION("") "]" },
	{ "another model's",
	    MODEL(
		"[" THOUGHT(REASONING("rs_1")) "," OPAQUE(SEARCH) "," OWN_TEXT(
		    "t", ITEM("msg_1")) "," CALL(CALL_ITEM) "]"),
	    "[" SAID("'t'") "," FUNCTION("") "]" },
	{ "nothing that can be read here",
	    MODEL("[" THOUGHT(REASONING("rs_1")) "," OPAQUE(
		SEARCH) ",{'type':'redacted_thinking','data':'D'}]"),
	    "[]" },
	{ "a text", MODEL("'t'"), "[" SAID("'t'") "]" },
};

static void
test_foreign(void **state)
{
	(void)state;
	expect_messages(foreign_cases, COUNT(foreign_cases), 1);
}

/* What another began goes on, and entries are counted. */
static void
test_conversation(void **state)
{
	struct arena *a = arena_open(4096);
	struct wire_model m = wire_model_of("m");
	const struct wire_request rq = { .model = &m };
	const struct wire_doc docs[] = {
		{ .text = quoted(a, USER("'hi'")) },
		{ .text = quoted(a, MODEL("[" THOUGHT(REASONING("rs_1")) "]")),
		    .foreign = 1 },
		{ .text = quoted(a, MODEL("[" TEXT("t") "," CALL("") "]")),
		    .foreign = 1 },
		{ .text = quoted(
		      a, USER("[" RESULT("'ok'") "," TEXT("go on") "]")) },
		{ .text = quoted(
		      a, MODEL("[" THOUGHT(REASONING("rs_2")) "," OWN_TEXT(
			     "u", ITEM("msg_1")) "]")) },
	};
	struct wire_text t;

	(void)state;
	expect_json("input",
	    json_get(
		wire_body(a, &wire_responses, &rq, docs, COUNT(docs)), "input"),
	    quoted(a,
		"[" INPUT("'hi'") "," SAID("'t'") "," FUNCTION("") "," OUTPUT("'ok'") "," INPUT(
		    "[" PART(
			"go on") "]") "," REASONING("rs_2") "," ITEM_OF("msg_1",
		    OUT("u")) "]"));
	wire_text_make(a, &t, &wire_responses, &m, docs, COUNT(docs));
	assert_int_equal(t.shown, 7);
	arena_close(&a);
}

/* ---- what stands behind ---- */

#define STORE "'store':false,'include':['reasoning.encrypted_content']"
#define BARE "'input':[" INPUT("'hi'") "],'model':'m','stream':true"
#define TOOL                                                                   \
	"{'type':'function','name':'f','parameters':{'type':'object',"         \
	"'properties':{}},'strict':false}"

/* The body for rq and the message "hi", compared without its input. */
static void
expect_body(const char *what, const struct wire_request *rq, const char *wanted)
{
	struct arena *a = arena_open(4096);
	const struct wire_doc doc = { .text = quoted(a, USER("'hi'")) };

	expect_json(what, wire_body(a, &wire_responses, rq, &doc, 1),
	    quoted(a, wanted));
	arena_close(&a);
}

static void
test_rest(void **state)
{
	struct arena *a = arena_open(4096);
	struct wire_model m = { .id = "m", .effort = "", .members = "" };
	const struct wire_request rq = { .model = &m };
	struct wire_model all = { .id = "m\"",
		.max_tokens = 5000,
		.thinking = 2000,
		.effort = "high",
		.members = "{\"temperature\":1}",
		.cache_markers = 1 };
	const struct wire_request rq_all = { .model = &all,
		.system = "S\n",
		.tools = quoted(a, "[" TOOL "]"),
		.tool_choice = "=f",
		.schema = "{\"type\":\"object\"}",
		.extra = "more" };

	(void)state;
	expect_body("nothing said", &rq, "{" BARE "," STORE "}");
	expect_body("all said", &rq_all,
	    "{'input':[" INPUT("'hi'") "," INPUT("[" PART(
		"more") "]") "],'model':'m\\'','stream':true,"
			     "'instructions':'S\\n','max_output_tokens':5000,"
			     "'tools':[" TOOL
			     "],'tool_choice':{'type':'function','name':'f'},"
			     "'reasoning':{'effort':'high','summary':'auto'},"
			     "'text':{'format':{'type':'json_schema','name':"
			     "'answer','schema':{'type':'object'},'strict':"
			     "false}},'temperature':1," STORE "}");
	all = (struct wire_model){ .id = "m",
		.thinking = 2000,
		.effort = "",
		.members = "{\"reasoning\":{\"summary\":\"concise\"}}" };
	expect_body("another summary",
	    &(const struct wire_request){ .model = &all },
	    "{" BARE "," STORE ",'reasoning':{'summary':'concise'}}");
	arena_close(&a);
}

static void
test_choice(void **state)
{
	static const char *const choices[][2] = { { "", "" },
		{ "auto", ",'tool_choice':'auto'" },
		{ "none", ",'tool_choice':'none'" },
		{ "any", ",'tool_choice':'required'" },
		{ "=f", ",'tool_choice':{'type':'function','name':'f'}" } };
	struct arena *a = arena_open(4096);
	struct wire_model m = { .id = "m", .effort = "", .members = "" };
	struct wire_request rq = { .model = &m };
	const char *tools = quoted(a, "[" TOOL "]");

	(void)state;
	for (size_t i = 0; i < COUNT(choices); i++) {
		rq.tool_choice = choices[i][0];
		rq.tools = tools;
		expect_body(choices[i][0], &rq,
		    arena_printf(a, "{" BARE "," STORE ",'tools':[" TOOL "]%s}",
			choices[i][1]));
		rq.tools = "";
		expect_body("no tools", &rq, "{" BARE "," STORE "}");
	}
	arena_close(&a);
}

static const struct {
	const char *what;
	unsigned quirks;
	const char *effort, *schema, *members, *wanted;
} member_cases[] = {
	{ "more about reasoning", 0, "low", "",
	    "{'reasoning':{'summary':'detailed'}}",
	    STORE ",'reasoning':{'effort':'low','summary':'detailed'}" },
	{ "otherwise about reasoning", 0, "low", "",
	    "{'reasoning':{'effort':'xhigh'}}",
	    STORE ",'reasoning':{'effort':'xhigh'}" },
	{ "no object about reasoning", 0, "low", "", "{'reasoning':null}",
	    STORE ",'reasoning':{'effort':'low'}" },
	{ "more about the text", 0, "", "{'type':'object'}",
	    "{'text':{'verbosity':'low'}}",
	    STORE ",'text':{'verbosity':'low','format':{'type':'json_schema',"
		  "'name':'answer','schema':{'type':'object'},"
		  "'strict':false}}" },
	{ "another format", 0, "", "{'type':'object'}",
	    "{'text':{'format':{'type':'text'}}}",
	    STORE ",'text':{'format':{'type':'text'}}" },
	{ "a strict schema", 0, "",
	    "{'type':'object','properties':{'a':{'type':'string'}},"
	    "'required':['a'],'additionalProperties':false}",
	    "",
	    STORE ",'text':{'format':{'type':'json_schema','name':'answer',"
		  "'schema':{'type':'object','properties':{'a':{'type':"
		  "'string'}},'required':['a'],'additionalProperties':false},"
		  "'strict':true}}" },
	{ "a model that does not reason", 0, "", "", "{'include':[]}",
	    "'store':false,'include':[]" },
	{ "one that keeps answers", 0, "", "", "{'store':true}",
	    "'store':true,'include':['reasoning.encrypted_content']" },
	{ "no schemas", MODEL_QUIRK_NO_SCHEMA, "", "{'type':'object'}", "",
	    STORE ",'text':{'format':{'type':'json_object'}}" },
	{ "no schemas, and none wanted", MODEL_QUIRK_NO_SCHEMA, "", "", "",
	    STORE },
	{ "obfuscation", MODEL_QUIRK_OBFUSCATION, "", "", "",
	    STORE ",'stream_options':{'include_obfuscation':false}" },
	{ "obfuscation that is wanted", MODEL_QUIRK_OBFUSCATION, "", "",
	    "{'stream_options':{'include_obfuscation':true}}",
	    STORE ",'stream_options':{'include_obfuscation':true}" },
};

static void
test_members(void **state)
{
	struct arena *a = arena_open(4096);

	(void)state;
	for (size_t i = 0; i < COUNT(member_cases); i++) {
		struct wire_model m = { .id = "m",
			.quirks = member_cases[i].quirks,
			.effort = member_cases[i].effort,
			.members = quoted(a, member_cases[i].members) };
		const struct wire_request rq = { .model = &m,
			.schema = quoted(a, member_cases[i].schema) };

		expect_body(member_cases[i].what, &rq,
		    arena_printf(a, "{" BARE ",%s}", member_cases[i].wanted));
	}
	arena_close(&a);
}

/* A forced tool, for a server that takes none from a model that thinks. */
static void
test_free_choice(void **state)
{
	struct arena *a = arena_open(4096);
	struct wire_model m = { .id = "m",
		.quirks = MODEL_QUIRK_FREE_CHOICE,
		.effort = "",
		.members = "" };
	struct wire_request rq = { .model = &m,
		.tools = quoted(a, "[" TOOL "]"),
		.tool_choice = "any" };

	(void)state;
	expect_body("forced", &rq,
	    "{" BARE "," STORE ",'tools':[" TOOL "],'tool_choice':"
	    "'required'}");
	m.thinking = 1000;
	expect_body("free", &rq,
	    "{" BARE "," STORE ",'tools':[" TOOL "],'tool_choice':'auto',"
	    "'reasoning':{'summary':'auto'}}");
	arena_close(&a);
}

/* The text of this request alone is a message of its own, wherever. */
static void
test_extra(void **state)
{
	static const struct {
		const char *docs[2], *items;
	} cases[] = {
		{ { USER("'hi'") }, INPUT("'hi'") "," },
		{ { USER("[" TEXT("hi") "]") }, INPUT("[" PART("hi") "]") "," },
		{ { MODEL("[" CALL("") "]"), USER("[" RESULT("'ok'") "]") },
		    FUNCTION("") "," OUTPUT("'ok'") "," },
		{ { USER("'hi'"), MODEL("'t'") },
		    INPUT("'hi'") "," SAID("'t'") "," },
		{ { USER("''") }, "" },
	};
	struct arena *a = arena_open(4096);
	struct wire_model m = wire_model_of("m");
	const struct wire_request rq = { .model = &m, .extra = "\"e\"\n" };
	struct wire_doc docs[2] = { { .text = NULL } };
	size_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (n = 0; n < 2 && cases[i].docs[n] != NULL; n++)
			docs[n].text = quoted(a, cases[i].docs[n]);
		expect_json("input",
		    json_get(
			wire_body(a, &wire_responses, &rq, docs, n), "input"),
		    quoted(a, arena_printf(a,
				  "[%s" INPUT("[" PART("\\'e\\'\\n") "]") "]",
				  cases[i].items)));
	}
	arena_close(&a);
}

/* ---- tools ---- */

#define CLOSED(p, r)                                                           \
	"{'type':'object','properties':{" p "},'required':[" r                 \
	"],'additionalProperties':false}"
#define A "'a':{'type':'string'}"

static const struct {
	const char *schema;
	int strict;
} strict_cases[] = {
	{ CLOSED("", ""), 1 },
	{ CLOSED(A, "'a'"), 1 },
	{ CLOSED(A ",'b':{'type':['integer','null'],'minimum':0}", "'b','a'"),
	    1 },
	{ CLOSED("'a':" CLOSED(
		     "'b':{'type':'array','items':{'enum':[1,2]}}", "'b'"),
	      "'a'"),
	    1 },
	{ CLOSED("'a':{'anyOf':[{'type':'string','format':'date'},"
		 "{'$ref':'#/$defs/x'}]}",
	      "'a'"),
	    1 },
	{ "{'$schema':'s','type':'object','properties':{" A "},'required':"
	  "['a'],'additionalProperties':false,'$defs':{'x':{'type':'null'}}}",
	    1 },
	{ "{'type':'object'}", 0 },
	{ "{'type':'object','properties':{" A "},'required':['a']}", 0 },
	{ "{'type':'object','properties':{" A "},'additionalProperties':"
	  "false}",
	    0 },
	{ "{'type':'object','properties':{" A "},'required':['a'],"
	  "'additionalProperties':true}",
	    0 },
	{ CLOSED(A, ""), 0 },
	{ CLOSED(A, "'b'"), 0 },
	{ CLOSED(A, "'a','b'"), 0 },
	{ CLOSED("'a':{'type':'object'}", "'a'"), 0 },
	{ CLOSED("'a':{'type':['object','null']}", "'a'"), 0 },
	{ CLOSED("'a':{'type':'array'}", "'a'"), 0 },
	{ CLOSED("'a':{'type':'array','items':true}", "'a'"), 0 },
	{ CLOSED("'a':{}", "'a'"), 0 },
	{ CLOSED("'a':true", "'a'"), 0 },
	{ CLOSED("'a':{'type':'string','minLength':1}", "'a'"), 0 },
	{ CLOSED("'a':{'type':'string','format':'uri'}", "'a'"), 0 },
	{ CLOSED("'a':{'type':'string','pattern':'^(?=x)'}", "'a'"), 0 },
	{ CLOSED("'a':{'type':'string','pattern':'^x'}", "'a'"), 1 },
	{ CLOSED("'a':{'$ref':'https://x'}", "'a'"), 0 },
	{ CLOSED("'a':{'anyOf':[{'type':'object'}]}", "'a'"), 0 },
	{ CLOSED("'a':{'oneOf':[{'type':'string'}]}", "'a'"), 0 },
	{ CLOSED("'a':" CLOSED(
		     "'a':" CLOSED("'a':" CLOSED(A, "'a'"), "'a'"), "'a'"),
	      "'a'"),
	    1 },
	{ CLOSED("'a':" CLOSED(
		     "'a':" CLOSED(
			 "'a':" CLOSED("'a':" CLOSED(A, "'a'"), "'a'"), "'a'"),
		     "'a'"),
	      "'a'"),
	    0 },
	{ "{'type':'array','items':{'type':'string'}}", 0 },
	{ "{'type':['object'],'properties':{},'required':[],"
	  "'additionalProperties':false}",
	    0 },
	{ "{'type':'object','anyOf':[{'type':'null'}],'properties':{},"
	  "'required':[],'additionalProperties':false}",
	    0 },
	{ "true", 0 },
};

static void
test_strict(void **state)
{
	struct arena *a = arena_open(4096);
	const char *text;

	(void)state;
	for (size_t i = 0; i < COUNT(strict_cases); i++) {
		text = quoted(a, strict_cases[i].schema);
		if (strict_fits(json_parse(a, text, strlen(text),
			JSON_DEPTH_MAX, NULL)) != strict_cases[i].strict)
			fail_msg("%s", text);
	}
	assert_false(strict_fits(NULL));
	arena_close(&a);
}

/* Of 100 properties, and of one more. */
static void
test_strict_size(void **state)
{
	struct arena *a = arena_open(65536);
	struct buf b;

	(void)state;
	for (int n = 100; n <= 101; n++) {
		buf_init(&b, a);
		json_open(&b, NULL, '{');
		json_add_str(&b, "type", "object");
		json_add_bool(&b, "additionalProperties", 0);
		json_open(&b, "properties", '{');
		for (int i = 0; i < n; i++)
			json_add_raw(&b, arena_printf(a, "p%d", i),
			    "{\"type\":\"null\"}", 15);
		json_close(&b, '}');
		json_open(&b, "required", '[');
		for (int i = 0; i < n; i++)
			json_add_str(&b, NULL, arena_printf(a, "p%d", i));
		json_close(&b, ']');
		json_close(&b, '}');
		assert_int_equal(strict_fits(json_parse(
				     a, b.data, b.len, JSON_DEPTH_MAX, NULL)),
		    n == 100);
	}
	arena_close(&a);
}

static void
test_tools(void **state)
{
	static const char *const cases[][2] = {
		{ "{'name':'f','description':'d','input_schema':" CLOSED(
		      A, "'a'") "}",
		    "{'type':'function','name':'f','description':'d',"
		    "'parameters':" CLOSED(A, "'a'") ",'strict':true}" },
		{ "{'name':'f','input_schema':{'type':'object'}}", TOOL },
		{ "{'name':'f','input_schema':{}}", TOOL },
		{ "{'name':'f'}", TOOL },
		{ "{'name':'f','input_schema':{'$schema':'s','type':'object',"
		  "'oneOf':[{}],'anyOf':[{}],'allOf':[{}],'not':{},'enum':[],"
		  "'properties':{'a':{'anyOf':[{}]}},'title':'t'}}",
		    "{'type':'function','name':'f','parameters':{'type':"
		    "'object','properties':{'a':{'anyOf':[{}]}},'title':'t'},"
		    "'strict':false}" },
	};
	struct arena *a = arena_open(4096);
	struct buf b;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_init(&b, a);
		responses_tools(&b,
		    quoted(a,
			arena_printf(a, "[%s,%s]", cases[i][0], cases[i][0])),
		    0);
		expect_json("tools",
		    json_parse(a, b.data, b.len, JSON_DEPTH_MAX, NULL),
		    quoted(a,
			arena_printf(a, "[%s,%s]", cases[i][1], cases[i][1])));
	}
	arena_close(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_conversation),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_free_choice),
		cmocka_unit_test(test_extra),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_strict_size),
		cmocka_unit_test(test_tools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
