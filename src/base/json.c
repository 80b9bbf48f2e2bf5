/* SPDX-License-Identifier: MIT */
/*
 * cJSON behind a strict front.
 *
 * json_scan.c has looked at the text first. cJSON's nodes are made in the
 * caller's arena: its process-wide hooks point to a bump allocator that uses
 * the arena of the thread that parses, so a document costs no malloc and is
 * never freed node by node. struct json is cJSON's node under another name.
 *
 * An integer that a double cannot hold becomes a cJSON_Raw node with its own
 * text: it prints as it came, and json_int reads it with strtoll.
 */
#include "config.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/json_priv.h"

#define LINEAR_MAX 12 /* members whose names are compared one by one */

static pthread_once_t hooks_once = PTHREAD_ONCE_INIT;
static _Thread_local struct arena *parse_arena;

static void *
hook_malloc(size_t size)
{
	return parse_arena == NULL ? malloc(size)
				   : arena_alloc(parse_arena, size);
}

static void
hook_free(void *p)
{
	if (parse_arena == NULL)
		free(p);
}

static void
hooks_set(void)
{
	cJSON_Hooks hooks = { .malloc_fn = hook_malloc, .free_fn = hook_free };

	cJSON_InitHooks(&hooks);
}

static const cJSON *
node(const struct json *j)
{
	return (const cJSON *)(const void *)j;
}

static const struct json *
wrap(const cJSON *c)
{
	return (const struct json *)(const void *)c;
}

static int
name_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
names_repeat_sorted(struct arena *a, const cJSON *obj, size_t n)
{
	const char **names = arena_alloc(a, n * sizeof(*names));
	size_t i = 0;

	for (const cJSON *c = obj->child; c != NULL; c = c->next)
		names[i++] = c->string;
	qsort(names, n, sizeof(*names), name_cmp);
	for (i = 1; i < n; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return 1;
	return 0;
}

static int
names_repeat(struct arena *a, const cJSON *obj)
{
	size_t n = json_count(wrap(obj));

	if (n > LINEAR_MAX)
		return names_repeat_sorted(a, obj, n);
	for (const cJSON *c = obj->child; c != NULL; c = c->next)
		for (const cJSON *d = c->next; d != NULL; d = d->next)
			if (strcmp(c->string, d->string) == 0)
				return 1;
	return 0;
}

/*
 * One walk over the tree in document order: duplicate names, and the text
 * back into the integers that cJSON rounded.
 */
static int
tree_finish(
    struct arena *a, cJSON *c, size_t *numbers, struct json_bigint **big)
{
	if (cJSON_IsNumber(c)) {
		if (*big != NULL && (*big)->ordinal == *numbers) {
			c->type = cJSON_Raw;
			c->valuestring =
			    arena_memdup(a, (*big)->text, (*big)->len);
			*big = (*big)->next;
		}
		(*numbers)++;
	}
	if (cJSON_IsObject(c) && names_repeat(a, c))
		return -1;
	for (cJSON *d = c->child; d != NULL; d = d->next)
		if (tree_finish(a, d, numbers, big) < 0)
			return -1;
	return 0;
}

struct json *
json_parse(
    struct arena *a, const char *text, size_t len, int depth, struct err *err)
{
	struct json_bigint *big;
	size_t numbers = 0;
	cJSON *doc;

	if (depth > JSON_DEPTH_MAX)
		depth = JSON_DEPTH_MAX;
	if (json_scan(a, text, len, depth, &big, err) < 0)
		return NULL;
	pthread_once(&hooks_once, hooks_set);
	parse_arena = a;
	doc = cJSON_ParseWithLengthOpts(text, len, NULL, 0);
	parse_arena = NULL;
	if (doc == NULL) {
		err_set(err, ERR_REQUEST, "not valid JSON");
		return NULL;
	}
	if (tree_finish(a, doc, &numbers, &big) < 0) {
		err_set(err, ERR_REQUEST, "not valid JSON: a name is repeated");
		return NULL;
	}
	return (struct json *)(void *)doc;
}

const char *
json_library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "cJSON %s", cJSON_Version());
	return text;
}

enum json_type
json_type(const struct json *j)
{
	const cJSON *c = node(j);

	if (cJSON_IsObject(c))
		return JSON_OBJECT;
	if (cJSON_IsArray(c))
		return JSON_ARRAY;
	if (cJSON_IsString(c))
		return JSON_STRING;
	if (cJSON_IsNumber(c) || cJSON_IsRaw(c))
		return JSON_NUMBER;
	return cJSON_IsBool(c) ? JSON_BOOL : JSON_NULL;
}

int
json_is(const struct json *j, enum json_type type)
{
	return j != NULL && json_type(j) == type;
}

const struct json *
json_get(const struct json *j, const char *name)
{
	if (!json_is(j, JSON_OBJECT))
		return NULL;
	for (const cJSON *c = node(j)->child; c != NULL; c = c->next)
		if (strcmp(c->string, name) == 0)
			return wrap(c);
	return NULL;
}

const struct json *
json_first(const struct json *j)
{
	return j == NULL ? NULL : wrap(node(j)->child);
}

const struct json *
json_next(const struct json *j)
{
	return wrap(node(j)->next);
}

const char *
json_name(const struct json *j)
{
	return node(j)->string;
}

size_t
json_count(const struct json *j)
{
	size_t n = 0;

	for (j = json_first(j); j != NULL; j = json_next(j))
		n++;
	return n;
}

const char *
json_str(const struct json *j)
{
	return json_is(j, JSON_STRING) ? node(j)->valuestring : NULL;
}

const char *
json_get_str(const struct json *j, const char *name)
{
	return json_str(json_get(j, name));
}

const char *
json_number_text(const struct json *j)
{
	return cJSON_IsRaw(node(j)) ? node(j)->valuestring : NULL;
}

int
json_int(const struct json *j, int64_t *out_r)
{
	char *end;
	double d;

	if (!json_is(j, JSON_NUMBER))
		return 0;
	if (cJSON_IsRaw(node(j))) {
		errno = 0;
		*out_r = strtoll(node(j)->valuestring, &end, 10);
		return errno == 0 && *end == '\0';
	}
	d = node(j)->valuedouble;
	if (d != floor(d) || fabs(d) > 9007199254740992.0)
		return 0;
	*out_r = (int64_t)d;
	return 1;
}

int
json_get_int(const struct json *j, const char *name, int64_t *out_r)
{
	return json_int(json_get(j, name), out_r);
}

int
json_double(const struct json *j, double *out_r)
{
	if (!json_is(j, JSON_NUMBER))
		return 0;
	*out_r = cJSON_IsRaw(node(j)) ? strtod(node(j)->valuestring, NULL)
				      : node(j)->valuedouble;
	return isfinite(*out_r);
}

int
json_bool(const struct json *j)
{
	return j != NULL && cJSON_IsTrue(node(j));
}

int
json_get_true(const struct json *j, const char *name)
{
	return json_bool(json_get(j, name));
}
