/* SPDX-License-Identifier: MIT */
/*
 * Checks arguments against a JSON Schema: a table of keywords, each a
 * function of its own value and the value that is checked.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "tool/schema.h"

#define DEPTH_MAX 32
#define LINES_MAX 20
#define PATH_MAX_BYTES 512

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* One check under way. */
struct check {
	struct buf *why; /* NULL: only whether it is valid */
	int lines;
	int depth;
	size_t path_len;
	char path[PATH_MAX_BYTES];
};

struct keyword;

/* schema is what the keyword stands in, word its own value. 0 or -1. */
typedef int keyword_f(struct check *c, const struct keyword *k,
    const struct json *schema, const struct json *word,
    const struct json *value);

/* What the value of a keyword has to be, to be gone through. */
enum shape {
	SHAPE_ANY,
	SHAPE_SCHEMA,
	SHAPE_SCHEMAS,      /* an array of them */
	SHAPE_NAMED_SCHEMAS /* an object of them */
};

struct keyword {
	const char *name;
	keyword_f *check; /* NULL: it explains, and constrains nothing */
	enum shape shape;
	enum json_type of; /* bounds: of what they are */
	const char *relation;
};

static int check(
    struct check *c, const struct json *schema, const struct json *value);

/* ---- saying what is wrong ---- */

static int complain(struct check *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int
complain(struct check *c, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	if (c->why == NULL || c->lines++ >= LINES_MAX)
		return -1;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_printf(c->why, "%sdata%.*s %s", c->lines > 1 ? "\n" : "",
	    (int)c->path_len, c->path, text);
	return -1;
}

/* check of a part, whose name is put behind the path meanwhile. */
static int
check_part(struct check *c, const struct json *schema, const struct json *value,
    const char *name, size_t index)
{
	size_t before = c->path_len;
	size_t room = sizeof(c->path) - before;
	int n, rc;

	n = name != NULL ? snprintf(c->path + before, room, "/%s", name)
			 : snprintf(c->path + before, room, "/%zu", index);
	c->path_len += (size_t)n < room ? (size_t)n : room - 1;
	rc = check(c, schema, value);
	c->path_len = before;
	return rc;
}

/* check that says nothing, for the alternatives. */
static int
check_quietly(
    struct check *c, const struct json *schema, const struct json *value)
{
	struct buf *why = c->why;
	int rc;

	c->why = NULL;
	rc = check(c, schema, value);
	c->why = why;
	return rc;
}

/* ---- values ---- */

static int
is_number(const struct json *j, double *out)
{
	return json_is(j, JSON_NUMBER) && json_double(j, out);
}

static int
is_integer(const struct json *j)
{
	int64_t i;
	double d;

	return json_int(j, &i) || (is_number(j, &d) && floor(d) == d);
}

static int
is_type(const struct json *value, const char *name)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",
		[JSON_BOOL] = "boolean",
		[JSON_NUMBER] = "number",
		[JSON_STRING] = "string",
		[JSON_ARRAY] = "array",
		[JSON_OBJECT] = "object",
	};

	if (name == NULL)
		return 0;
	if (strcmp(name, "integer") == 0)
		return is_integer(value);
	return strcmp(names[json_type(value)], name) == 0;
}

static int equal(const struct json *a, const struct json *b);

static int
equal_lists(const struct json *a, const struct json *b)
{
	const struct json *x, *y;

	if (json_count(a) != json_count(b))
		return 0;
	if (json_is(a, JSON_OBJECT)) {
		for (x = json_first(a); x != NULL; x = json_next(x))
			if (!equal(x, json_get(b, json_name(x))))
				return 0;
		return 1;
	}
	for (x = json_first(a), y = json_first(b); x != NULL;
	     x = json_next(x), y = json_next(y))
		if (!equal(x, y))
			return 0;
	return 1;
}

static int
equal(const struct json *a, const struct json *b)
{
	int64_t i, k;
	double d, e;

	if (b == NULL || json_type(a) != json_type(b))
		return 0;
	switch (json_type(a)) {
	case JSON_NULL:
		return 1;
	case JSON_BOOL:
		return json_bool(a) == json_bool(b);
	case JSON_NUMBER:
		if (json_int(a, &i) && json_int(b, &k))
			return i == k;
		return is_number(a, &d) && is_number(b, &e) && d == e;
	case JSON_STRING:
		return strcmp(json_str(a), json_str(b)) == 0;
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	return equal_lists(a, b);
}

static size_t
code_points(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* ---- keywords ---- */

static int
check_type(struct check *c, const struct keyword *k, const struct json *schema,
    const struct json *word, const struct json *value)
{
	struct buf names;
	int rc = 0, any = 0;

	(void)k, (void)schema;
	if (json_str(word) != NULL)
		return is_type(value, json_str(word))
			   ? 0
			   : complain(c, "must be %s", json_str(word));
	buf_init(&names, NULL);
	for (const struct json *t = json_first(word); t != NULL;
	     t = json_next(t)) {
		any |= is_type(value, json_str(t));
		buf_printf(&names, "%s%s", names.len > 0 ? "," : "",
		    json_str(t) == NULL ? "?" : json_str(t));
	}
	if (!any)
		rc = complain(c, "must be %s", buf_str(&names));
	buf_fini(&names);
	return rc;
}

static int
check_enum(struct check *c, const struct keyword *k, const struct json *schema,
    const struct json *word, const struct json *value)
{
	(void)k, (void)schema;
	for (const struct json *e = json_first(word); e != NULL;
	     e = json_next(e))
		if (equal(value, e))
			return 0;
	return complain(c, "must be equal to one of the allowed values");
}

static int
check_const(struct check *c, const struct keyword *k, const struct json *schema,
    const struct json *word, const struct json *value)
{
	(void)k, (void)schema;
	return equal(value, word) ? 0
				  : complain(c, "must be equal to constant");
}

static int
check_properties(struct check *c, const struct keyword *k,
    const struct json *schema, const struct json *word,
    const struct json *value)
{
	const struct json *part;
	int rc = 0;

	(void)k, (void)schema;
	if (!json_is(value, JSON_OBJECT))
		return 0;
	for (const struct json *p = json_first(word); p != NULL;
	     p = json_next(p)) {
		part = json_get(value, json_name(p));
		if (part != NULL && check_part(c, p, part, json_name(p), 0) < 0)
			rc = -1;
	}
	return rc;
}

static int
check_required(struct check *c, const struct keyword *k,
    const struct json *schema, const struct json *word,
    const struct json *value)
{
	int rc = 0;

	(void)k, (void)schema;
	if (!json_is(value, JSON_OBJECT))
		return 0;
	for (const struct json *n = json_first(word); n != NULL;
	     n = json_next(n))
		if (json_str(n) != NULL && json_get(value, json_str(n)) == NULL)
			rc = complain(
			    c, "must have required property '%s'", json_str(n));
	return rc;
}

static int
check_additional(struct check *c, const struct keyword *k,
    const struct json *schema, const struct json *word,
    const struct json *value)
{
	const struct json *known = json_get(schema, "properties");
	int refused = json_is(word, JSON_BOOL) && !json_bool(word), rc = 0;

	(void)k;
	if (!json_is(value, JSON_OBJECT))
		return 0;
	for (const struct json *m = json_first(value); m != NULL;
	     m = json_next(m)) {
		if (json_get(known, json_name(m)) != NULL)
			continue;
		if (refused)
			rc = complain(c, "must NOT have additional properties");
		else if (check_part(c, word, m, json_name(m), 0) < 0)
			rc = -1;
	}
	return rc;
}

static int
check_items(struct check *c, const struct keyword *k, const struct json *schema,
    const struct json *word, const struct json *value)
{
	size_t i = 0;
	int rc = 0;

	(void)k, (void)schema;
	if (!json_is(value, JSON_ARRAY))
		return 0;
	for (const struct json *e = json_first(value); e != NULL;
	     e = json_next(e))
		if (check_part(c, word, e, NULL, i++) < 0)
			rc = -1;
	return rc;
}

#define UNIQUE_MAX 1000 /* compared each with each */

static int
check_unique(struct check *c, const struct keyword *k,
    const struct json *schema, const struct json *word,
    const struct json *value)
{
	const struct json *a, *b;

	(void)k, (void)schema;
	if (!json_bool(word) || !json_is(value, JSON_ARRAY))
		return 0;
	if (json_count(value) > UNIQUE_MAX)
		return complain(
		    c, "must NOT have more than %d unique items", UNIQUE_MAX);
	for (a = json_first(value); a != NULL; a = json_next(a))
		for (b = json_next(a); b != NULL; b = json_next(b))
			if (equal(a, b))
				return complain(
				    c, "must NOT have duplicate items");
	return 0;
}

/* minItems, maxLength and their like: the relation is ">=" or "<=". */
static int
check_size(struct check *c, const struct keyword *k, const struct json *schema,
    const struct json *word, const struct json *value)
{
	static const char *const what[] = {
		[JSON_STRING] = "characters",
		[JSON_ARRAY] = "items",
		[JSON_OBJECT] = "properties",
	};
	int is_min = *k->relation == '>';
	int64_t bound, size;

	(void)schema;
	if (!json_is(value, k->of) || !json_int(word, &bound))
		return 0;
	size = (int64_t)(k->of == JSON_STRING ? code_points(json_str(value))
					      : json_count(value));
	if (is_min ? size >= bound : size <= bound)
		return 0;
	return complain(c, "must NOT have %s than %" PRId64 " %s",
	    is_min ? "fewer" : "more", bound, what[k->of]);
}

static int
check_number(struct check *c, const struct keyword *k,
    const struct json *schema, const struct json *word,
    const struct json *value)
{
	const char *r = k->relation;
	double bound, v;
	int good;

	(void)schema;
	if (!is_number(value, &v) || !is_number(word, &bound))
		return 0;
	if (r[1] == '=')
		good = *r == '>' ? v >= bound : v <= bound;
	else
		good = *r == '>' ? v > bound : v < bound;
	return good ? 0 : complain(c, "must be %s %g", r, bound);
}

static int
check_multiple(struct check *c, const struct keyword *k,
    const struct json *schema, const struct json *word,
    const struct json *value)
{
	double step, v, q;

	(void)k, (void)schema;
	if (!is_number(value, &v) || !is_number(word, &step) || step <= 0)
		return 0;
	q = v / step;
	if (fabs(q - nearbyint(q)) <= 1e-9 * fmax(1, fabs(q)))
		return 0;
	return complain(c, "must be multiple of %g", step);
}

static int
check_all_of(struct check *c, const struct keyword *k,
    const struct json *schema, const struct json *word,
    const struct json *value)
{
	int rc = 0;

	(void)k, (void)schema;
	for (const struct json *s = json_first(word); s != NULL;
	     s = json_next(s))
		if (check(c, s, value) < 0)
			rc = -1;
	return rc;
}

static int
how_many_match(
    struct check *c, const struct json *word, const struct json *value)
{
	int n = 0;

	for (const struct json *s = json_first(word); s != NULL;
	     s = json_next(s))
		n += check_quietly(c, s, value) == 0;
	return n;
}

static int
check_any_of(struct check *c, const struct keyword *k,
    const struct json *schema, const struct json *word,
    const struct json *value)
{
	(void)k, (void)schema;
	return how_many_match(c, word, value) > 0
		   ? 0
		   : complain(c, "must match a schema in anyOf");
}

static int
check_one_of(struct check *c, const struct keyword *k,
    const struct json *schema, const struct json *word,
    const struct json *value)
{
	(void)k, (void)schema;
	return how_many_match(c, word, value) == 1
		   ? 0
		   : complain(c, "must match exactly one schema in oneOf");
}

static int
check_not(struct check *c, const struct keyword *k, const struct json *schema,
    const struct json *word, const struct json *value)
{
	(void)k, (void)schema;
	return check_quietly(c, word, value) < 0
		   ? 0
		   : complain(c, "must NOT be valid");
}

static const struct keyword keywords[] = {
	{ "type", check_type, SHAPE_ANY, JSON_NULL, NULL },
	{ "enum", check_enum, SHAPE_ANY, JSON_NULL, NULL },
	{ "const", check_const, SHAPE_ANY, JSON_NULL, NULL },
	{ "properties", check_properties, SHAPE_NAMED_SCHEMAS, JSON_NULL,
	    NULL },
	{ "required", check_required, SHAPE_ANY, JSON_NULL, NULL },
	{ "additionalProperties", check_additional, SHAPE_SCHEMA, JSON_NULL,
	    NULL },
	{ "items", check_items, SHAPE_SCHEMA, JSON_NULL, NULL },
	{ "uniqueItems", check_unique, SHAPE_ANY, JSON_NULL, NULL },
	{ "minItems", check_size, SHAPE_ANY, JSON_ARRAY, ">=" },
	{ "maxItems", check_size, SHAPE_ANY, JSON_ARRAY, "<=" },
	{ "minProperties", check_size, SHAPE_ANY, JSON_OBJECT, ">=" },
	{ "maxProperties", check_size, SHAPE_ANY, JSON_OBJECT, "<=" },
	{ "minLength", check_size, SHAPE_ANY, JSON_STRING, ">=" },
	{ "maxLength", check_size, SHAPE_ANY, JSON_STRING, "<=" },
	{ "minimum", check_number, SHAPE_ANY, JSON_NUMBER, ">=" },
	{ "maximum", check_number, SHAPE_ANY, JSON_NUMBER, "<=" },
	{ "exclusiveMinimum", check_number, SHAPE_ANY, JSON_NUMBER, ">" },
	{ "exclusiveMaximum", check_number, SHAPE_ANY, JSON_NUMBER, "<" },
	{ "multipleOf", check_multiple, SHAPE_ANY, JSON_NULL, NULL },
	{ "allOf", check_all_of, SHAPE_SCHEMAS, JSON_NULL, NULL },
	{ "anyOf", check_any_of, SHAPE_SCHEMAS, JSON_NULL, NULL },
	{ "oneOf", check_one_of, SHAPE_SCHEMAS, JSON_NULL, NULL },
	{ "not", check_not, SHAPE_SCHEMA, JSON_NULL, NULL },
	/* these explain */
	{ "title", NULL, SHAPE_ANY, JSON_NULL, NULL },
	{ "description", NULL, SHAPE_ANY, JSON_NULL, NULL },
	{ "default", NULL, SHAPE_ANY, JSON_NULL, NULL },
	{ "examples", NULL, SHAPE_ANY, JSON_NULL, NULL },
	{ "format", NULL, SHAPE_ANY, JSON_NULL, NULL },
	{ "$schema", NULL, SHAPE_ANY, JSON_NULL, NULL },
	{ "$id", NULL, SHAPE_ANY, JSON_NULL, NULL },
	{ "$comment", NULL, SHAPE_ANY, JSON_NULL, NULL },
	{ "deprecated", NULL, SHAPE_ANY, JSON_NULL, NULL },
	{ "readOnly", NULL, SHAPE_ANY, JSON_NULL, NULL },
	{ "writeOnly", NULL, SHAPE_ANY, JSON_NULL, NULL },
};

static const struct keyword *
keyword_find(const char *name)
{
	for (size_t i = 0; i < COUNT(keywords); i++)
		if (strcmp(keywords[i].name, name) == 0)
			return &keywords[i];
	return NULL;
}

static int
check(struct check *c, const struct json *schema, const struct json *value)
{
	const struct keyword *k;
	int rc = 0;

	if (json_is(schema, JSON_BOOL))
		return json_bool(schema) ? 0 : complain(c, "must NOT be there");
	if (c->depth == DEPTH_MAX)
		return complain(c, "is nested too deep");
	c->depth++;
	for (const struct json *m = json_first(schema); m != NULL;
	     m = json_next(m)) {
		k = keyword_find(json_name(m));
		if (k != NULL && k->check != NULL &&
		    k->check(c, k, schema, m, value) < 0)
			rc = -1;
	}
	c->depth--;
	return rc;
}

int
schema_check(
    const struct json *schema, const struct json *value, struct buf *why)
{
	struct check c = { .why = why };

	return check(&c, schema, value);
}

/* ---- whether a schema is one that is obeyed ---- */

static int supported(const struct json *schema, int depth, struct err *err);

static int
list_supported(const struct json *list, int depth, struct err *err)
{
	for (const struct json *s = json_first(list); s != NULL;
	     s = json_next(s))
		if (supported(s, depth, err) < 0)
			return -1;
	return 0;
}

static int
keyword_supported(const struct json *m, int depth, struct err *err)
{
	const struct keyword *k = keyword_find(json_name(m));

	if (k == NULL)
		return err_set(err, ERR_CONFIG,
		    "the keyword \"%s\" is none that is obeyed here",
		    json_name(m));
	switch (k->shape) {
	case SHAPE_ANY:
		return 0;
	case SHAPE_SCHEMA:
		return supported(m, depth, err);
	case SHAPE_SCHEMAS:
		if (!json_is(m, JSON_ARRAY))
			return err_set(err, ERR_CONFIG,
			    "\"%s\" is no array of schemas", k->name);
		return list_supported(m, depth, err);
	case SHAPE_NAMED_SCHEMAS:
		if (!json_is(m, JSON_OBJECT))
			return err_set(err, ERR_CONFIG,
			    "\"%s\" is no object of schemas", k->name);
		return list_supported(m, depth, err);
	}
	return 0;
}

static int
supported(const struct json *schema, int depth, struct err *err)
{
	if (json_is(schema, JSON_BOOL))
		return 0;
	if (!json_is(schema, JSON_OBJECT))
		return err_set(
		    err, ERR_CONFIG, "a schema is an object, true or false");
	if (depth >= DEPTH_MAX)
		return err_set(
		    err, ERR_CONFIG, "schemas nest deeper than %d", DEPTH_MAX);
	for (const struct json *m = json_first(schema); m != NULL;
	     m = json_next(m))
		if (keyword_supported(m, depth + 1, err) < 0)
			return json_name(schema) == NULL || depth == 0
				   ? -1
				   : err_prefix(err, "%s", json_name(schema));
	return 0;
}

int
schema_supported(const struct json *schema, struct err *err)
{
	return supported(schema, 0, err);
}

const struct json *
schema_usable(struct arena *a, const struct json *schema)
{
	if (schema_supported(schema, NULL) == 0)
		return schema;
	return json_parse(
	    a, SCHEMA_ANY_OBJECT, strlen(SCHEMA_ANY_OBJECT), 2, NULL);
}
