/* SPDX-License-Identifier: MIT */
/* tool/schema: what is valid, and in which words what is not is refused. */
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
#include "tool/schema.h"

struct row {
	const char *schema;
	const char *value;
	const char *why; /* "" valid */
};

static const struct row rows[] = {
	{ "true", "1", "" },
	{ "false", "1", "data must NOT be there" },
	{ "{}", "[1]", "" },
	{ "{\"type\":\"object\"}", "{}", "" },
	{ "{\"type\":\"object\"}", "[]", "data must be object" },
	{ "{\"type\":\"integer\"}", "3", "" },
	{ "{\"type\":\"integer\"}", "3.0", "" },
	{ "{\"type\":\"integer\"}", "3.5", "data must be integer" },
	{ "{\"type\":\"integer\"}", "\"3\"", "data must be integer" },
	{ "{\"type\":\"number\"}", "3", "" },
	{ "{\"type\":[\"string\",\"null\"]}", "null", "" },
	{ "{\"type\":[\"string\",\"null\"]}", "1", "data must be string,null" },
	{ "{\"enum\":[\"a\",1,[2]]}", "[2]", "" },
	{ "{\"enum\":[\"a\",1,[2]]}", "[3]",
	    "data must be equal to one of the allowed values" },
	{ "{\"const\":{\"a\":1,\"b\":[null,true]}}",
	    "{\"b\":[null,true],\"a\":1.0}", "" },
	{ "{\"const\":{\"a\":1}}", "{\"a\":1,\"b\":2}",
	    "data must be equal to constant" },
	{ "{\"properties\":{\"n\":{\"type\":\"integer\"}},"
	  "\"required\":[\"n\",\"m\"]}",
	    "{\"n\":\"x\"}",
	    "data/n must be integer\n"
	    "data must have required property 'm'" },
	{ "{\"properties\":{\"a\":{\"properties\":{\"b\":{\"type\":"
	  "\"string\"}}}}}",
	    "{\"a\":{\"b\":1}}", "data/a/b must be string" },
	{ "{\"properties\":{\"a\":true},\"additionalProperties\":false}",
	    "{\"a\":1,\"z\":1}", "data must NOT have additional properties" },
	{ "{\"additionalProperties\":{\"type\":\"null\"}}", "{\"z\":1}",
	    "data/z must be null" },
	{ "{\"items\":{\"type\":\"string\"}}", "[\"a\",1]",
	    "data/1 must be string" },
	{ "{\"minItems\":2}", "[1]", "data must NOT have fewer than 2 items" },
	{ "{\"maxItems\":2}", "[1,2,3]",
	    "data must NOT have more than 2 items" },
	{ "{\"maxItems\":2}", "\"abc\"", "" },
	{ "{\"uniqueItems\":true}", "[1,2,1.0]",
	    "data must NOT have duplicate items" },
	{ "{\"uniqueItems\":false}", "[1,1]", "" },
	{ "{\"minProperties\":1}", "{}",
	    "data must NOT have fewer than 1 properties" },
	{ "{\"maxProperties\":1}", "{\"a\":1,\"b\":1}",
	    "data must NOT have more than 1 properties" },
	{ "{\"minLength\":2}", "\"\xc3\xa4\"",
	    "data must NOT have fewer than 2 characters" },
	{ "{\"maxLength\":2}", "\"\xc3\xa4\xe2\x82\xac\"", "" },
	{ "{\"minimum\":1}", "1", "" },
	{ "{\"minimum\":1}", "0.5", "data must be >= 1" },
	{ "{\"maximum\":1}", "2", "data must be <= 1" },
	{ "{\"exclusiveMinimum\":1}", "1", "data must be > 1" },
	{ "{\"exclusiveMaximum\":1}", "1", "data must be < 1" },
	{ "{\"multipleOf\":0.1}", "0.3", "" },
	{ "{\"multipleOf\":2}", "3", "data must be multiple of 2" },
	{ "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "1",
	    "data must match a schema in anyOf" },
	{ "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "null",
	    "" },
	{ "{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}", "3",
	    "data must match exactly one schema in oneOf" },
	{ "{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}", "1", "" },
	{ "{\"allOf\":[{\"minimum\":1},{\"maximum\":0}]}", "0.5",
	    "data must be >= 1\ndata must be <= 0" },
	{ "{\"not\":{\"type\":\"string\"}}", "\"x\"",
	    "data must NOT be valid" },
	{ "{\"title\":\"x\",\"format\":\"email\",\"default\":1}", "2", "" },
};

static void
test_check(void **state)
{
	struct arena *a = arena_open(4096);
	const struct json *schema, *value;
	struct buf why;
	struct err err;
	int rc;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		schema = json_parse(
		    a, rows[i].schema, strlen(rows[i].schema), 32, &err);
		value = json_parse(
		    a, rows[i].value, strlen(rows[i].value), 32, &err);
		assert_non_null(schema);
		assert_non_null(value);
		assert_int_equal(schema_supported(schema, &err), 0);
		buf_init(&why, a);
		rc = schema_check(schema, value, &why);
		assert_string_equal(buf_str(&why), rows[i].why);
		assert_int_equal(rc, *rows[i].why == '\0' ? 0 : -1);
	}
	arena_close(&a);
}

static void
test_supported(void **state)
{
	static const struct {
		const char *schema, *says;
	} bad[] = {
		{ "{\"$ref\":\"#/x\"}", "$ref" },
		{ "{\"properties\":{\"a\":{\"pattern\":\"x\"}}}", "pattern" },
		{ "{\"items\":{\"if\":true}}", "if" },
		{ "{\"anyOf\":{\"type\":\"string\"}}", "anyOf" },
		{ "{\"properties\":[]}", "properties" },
		{ "{\"items\":[1]}", "object, true or false" },
		{ "3", "object, true or false" },
	};
	struct arena *a = arena_open(4096);
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct json *j = json_parse(
		    a, bad[i].schema, strlen(bad[i].schema), 32, &err);

		assert_int_equal(schema_supported(j, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.text, bad[i].says));
	}
	arena_close(&a);
}

/* The report is bounded, and names nested parts. */
static void
test_bounds(void **state)
{
	static const char schema[] = "{\"items\":{\"type\":\"string\"}}";
	struct arena *a = arena_open(4096);
	const struct json *s = json_parse(a, schema, strlen(schema), 8, NULL);
	struct buf text, why;
	int lines = 1;

	(void)state;
	buf_init(&text, a);
	buf_putc(&text, '[');
	for (int i = 0; i < 500; i++)
		buf_puts(&text, i == 0 ? "1" : ",1");
	buf_putc(&text, ']');
	buf_init(&why, a);
	assert_int_equal(
	    schema_check(s, json_parse(a, text.data, text.len, 8, NULL), &why),
	    -1);
	for (const char *p = buf_str(&why); *p != '\0'; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 20);
	assert_non_null(strstr(buf_str(&why), "data/19 must be string"));
	arena_close(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_supported),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
