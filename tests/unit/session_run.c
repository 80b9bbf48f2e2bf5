/* SPDX-License-Identifier: MIT */
/* Recorded sessions, for the tests that look at them. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "session/transcript.h"
#include "session_run.h"

const struct json *
session_load(struct arena *a, const char *name)
{
	char path[600], chunk[8192];
	const struct json *doc;
	struct buf b;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.json", SESSION_DATA, name);
	f = fopen(path, "re");
	assert_non_null(f);
	buf_init(&b, a);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(&b, chunk, n);
	fclose(f);
	doc = json_parse(a, b.data, b.len, JSON_DEPTH_MAX, NULL);
	assert_non_null(doc);
	return doc;
}

const struct json *
session_agent(const struct json *doc, const char *agent)
{
	return json_get(json_get(doc, "agents"), agent);
}

const char **
session_texts(struct arena *a, const struct json *list, size_t *count_r)
{
	const char **out =
	    arena_alloc(a, (json_count(list) + 1) * sizeof(*out));
	size_t n = 0;

	for (const struct json *e = json_first(list); e != NULL;
	     e = json_next(e)) {
		struct buf b;

		buf_init(&b, a);
		json_print(&b, e);
		out[n++] = b.data;
	}
	*count_r = n;
	return out;
}

static void
add_messages(struct arena *a, struct transcript *t, const struct json *list)
{
	struct err err;
	size_t n;
	const char **docs = session_texts(a, list, &n);

	assert_int_equal(transcript_add_messages(t, docs, n, &err), 0);
}

static void
fill(struct arena *a, struct transcript *t, const struct json *doc,
    const char *agent)
{
	const struct json *its = session_agent(doc, agent);
	struct transcript_child *children;
	struct err err;
	size_t n;
	const char **docs;

	for (const struct json *w = json_first(json_get(its, "windows"));
	     w != NULL; w = json_next(w))
		add_messages(a, t, w);
	add_messages(a, t, json_get(its, "messages"));
	docs = session_texts(a, json_get(its, "calls"), &n);
	assert_int_equal(transcript_add_calls(t, docs, n, &err), 0);
	n = transcript_children(t, &children);
	for (size_t i = 0; i < n; i++)
		fill(a, transcript_add_child(t, children[i].call), doc,
		    children[i].agent);
}

struct transcript *
session_transcript(struct arena *a, const struct json *doc)
{
	struct transcript *t = transcript_new(a);

	fill(a, t, doc, json_get_str(doc, "agent"));
	return t;
}
