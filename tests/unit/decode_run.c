/* SPDX-License-Identifier: MIT */
/* A stream through a decoder, whole or in pieces. */
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
#include "base/json.h"
#include "decode_run.h"

const struct model_bounds run_bounds = { 1 << 20, 1 << 20 };

static void
sink_text(void *ctx, const char *text, size_t len)
{
	struct run *run = ctx;

	assert_int_equal(json_utf8_whole(text, len), len);
	buf_add(&run->text, text, len);
}

static void
sink_thinking(void *ctx, const char *text, size_t len)
{
	struct run *run = ctx;

	buf_add(&run->thinking, text, len);
}

static const struct model_sink sink = { sink_text, sink_thinking, NULL };

void
run_open(struct run *run, struct run_of of, const struct model_bounds *bounds)
{
	memset(run, 0, sizeof(*run));
	buf_init(&run->text, NULL);
	buf_init(&run->thinking, NULL);
	buf_init(&run->doc, NULL);
	run->d = model_decode_new(of.api, of.quirks, &sink, run, bounds);
	model_decode_keep_raw(run->d);
	run->r = model_decode_result(run->d);
}

void
run_close(struct run *run)
{
	model_decode_free(&run->d);
	assert_null(run->d);
	buf_fini(&run->text);
	buf_fini(&run->thinking);
	buf_fini(&run->doc);
}

void
run_stream(struct run *run, struct run_of of, const char *p, size_t len,
    size_t step, unsigned *seed)
{
	run_open(run, of, &run_bounds);
	for (size_t at = 0, n; run->rc == 0 && at < len; at += n) {
		n = step > 0 ? step : 1 + (size_t)rand_r(seed) % 40;
		if (n > len - at)
			n = len - at;
		run->rc = model_decode_feed(run->d, p + at, n, &run->err);
	}
	if (run->rc == 0)
		run->rc = model_decode_finish(run->d, &run->err);
	model_decode_print(&run->doc, run->d, NULL, NULL);
}

void
run_text(struct run *run, struct run_of of, const char *text)
{
	run_stream(run, of, text, strlen(text), strlen(text), NULL);
}

const struct json *
run_content(struct arena *a, const struct run *run)
{
	const struct json *doc = json_parse(a, buf_str(&run->r->content),
	    run->r->content.len, JSON_DEPTH_MAX, NULL);

	assert_true(json_is(doc, JSON_ARRAY));
	assert_int_equal(json_count(doc), run->r->blocks);
	return doc;
}

static int
scalar_equal(const struct json *a, const struct json *b)
{
	int64_t i, j;
	double d, e;

	switch (json_type(a)) {
	case JSON_STRING:
		return strcmp(json_str(a), json_str(b)) == 0;
	case JSON_NUMBER:
		if (json_int(a, &i) && json_int(b, &j))
			return i == j;
		return json_double(a, &d) && json_double(b, &e) && !(d < e) &&
		       !(d > e);
	case JSON_BOOL:
		return json_bool(a) == json_bool(b);
	case JSON_NULL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	return 1;
}

int
json_equal(const struct json *a, const struct json *b)
{
	const struct json *c, *d;

	if (a == NULL || b == NULL)
		return a == b;
	if (json_type(a) != json_type(b) || json_count(a) != json_count(b))
		return 0;
	d = json_first(b);
	for (c = json_first(a); c != NULL; c = json_next(c)) {
		if (json_is(a, JSON_OBJECT))
			d = json_get(b, json_name(c));
		if (!json_equal(c, d))
			return 0;
		d = json_is(a, JSON_OBJECT) ? NULL : json_next(d);
	}
	return scalar_equal(a, b);
}

static const char *
shared(void)
{
	const char *dir = getenv("AGENT_FPM_SHARED");

	return dir != NULL ? dir : "../shared";
}

void
glob_or_skip(const char *pattern, int flags, glob_t *g)
{
	char path[1024];

	snprintf(
	    path, sizeof(path), "%s/fixtures/providers/%s", shared(), pattern);
	if (glob(path, flags, NULL, g) != 0) {
		print_message("SKIP: no %s\n", path);
		skip();
	}
}

void
file_read(struct buf *b, const char *path)
{
	char piece[4096];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL)
		fail_msg("%s is not there", path);
	buf_init(b, NULL);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(b, piece, n);
	fclose(f);
}
