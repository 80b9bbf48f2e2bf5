/* SPDX-License-Identifier: MIT */
/*
 * JSON from a stranger. What json_parse takes is printed and parsed again:
 * the second tree is the first one and prints alike. What it refuses,
 * json_check refuses too, duplicate names apart. Any valid text comes back
 * from the writer as it was. Two lines: what text_frame_match takes of the
 * second after the first is what json_parse reads there.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/text_frame.h"

#define DEPTH 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
scalars_equal(const struct json *x, const struct json *y)
{
	int64_t i = 0, k = 0;
	double d = 0, e = 0;

	/* A fraction beyond 2^53 prints as the integer it was rounded to. */
	must(!json_int(x, &i) || (json_int(y, &k) && i == k));
	must(json_double(x, &d) == json_double(y, &e) && d == e);
	must(json_bool(x) == json_bool(y));
	must((json_str(x) == NULL) == (json_str(y) == NULL));
	if (json_str(x) != NULL)
		must(strcmp(json_str(x), json_str(y)) == 0);
}

static void
trees_equal(const struct json *x, const struct json *y)
{
	const struct json *c = json_first(x), *d = json_first(y);

	must(json_type(x) == json_type(y));
	scalars_equal(x, y);
	for (; c != NULL && d != NULL; c = json_next(c), d = json_next(d)) {
		if (json_is(x, JSON_OBJECT)) {
			must(strcmp(json_name(c), json_name(d)) == 0);
			must(json_get(x, json_name(c)) == c);
		}
		trees_equal(c, d);
	}
	must(c == NULL && d == NULL);
}

static void
round_trip(struct arena *a, const struct json *j)
{
	struct buf once, twice;
	const struct json *k;

	buf_init(&once, a);
	buf_init(&twice, a);
	json_print(&once, j);
	k = json_parse(a, buf_str(&once), once.len, DEPTH, NULL);
	must(k != NULL);
	trees_equal(j, k);
	json_print(&twice, k);
	must(once.len == twice.len);
	must(memcmp(once.data, twice.data, once.len) == 0);
}

/* data as a string value. */
static void
written(struct arena *a, const char *text, size_t len)
{
	const struct json *j;
	struct buf b;

	if (json_utf8_whole(text, len) != len || memchr(text, 0, len) != NULL)
		return;
	buf_init(&b, a);
	json_open(&b, NULL, '{');
	json_add_strn(&b, "v", text, len);
	json_close(&b, '}');
	j = json_parse(a, b.data, b.len, 1, NULL);
	must(j != NULL && strlen(json_get_str(j, "v")) == len);
	must(memcmp(json_get_str(j, "v"), text, len) == 0);
}

/* The text of a member named text, the first in the order of the document. */
static const char *
text_of(const struct json *j)
{
	const char *text = json_get_str(j, "text");

	for (j = json_first(j); text == NULL && j != NULL; j = json_next(j))
		text = text_of(j);
	return text;
}

static void
framed(struct arena *a, const char *text, size_t len)
{
	const char *line = memchr(text, '\n', len), *found;
	struct text_frame f = { 0 };
	struct buf plain;
	size_t first = line == NULL ? len : (size_t)(line - text), n;
	const struct json *j = json_parse(a, text, first, DEPTH, NULL);

	if (line == NULL || j == NULL ||
	    !text_frame_learn(&f, text, first, "text", text_of(j), NULL))
		return;
	line++;
	len -= first + 1;
	buf_init(&plain, a);
	if (!text_frame_match(&f, line, len, &plain, &found, &n))
		return;
	j = json_parse(a, line, len, DEPTH, NULL);
	must(j != NULL && strlen(text_of(j)) == n);
	must(memcmp(text_of(j), found, n) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_open(16384);
	char *text = malloc(size + (size == 0)); /* and no 0 byte */
	struct err err = { 0 };
	struct json *j;
	int good;

	must(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	good = json_check(text, size, DEPTH, NULL) == 0;
	j = json_parse(a, text, size, DEPTH, &err);
	must(j == NULL || good);
	must((j == NULL) == (err.code != ERR_NONE));
	if (j != NULL)
		round_trip(a, j);
	else
		must(!good || strstr(err.text, "repeated") != NULL);
	must(json_utf8_whole(text, size) <= size);
	written(a, text, size);
	framed(a, text, size);
	free(text);
	arena_close(&a);
	return 0;
}
