/* SPDX-License-Identifier: MIT */
/* A conversation through a wire. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "decode_run.h"
#include "model/call.h"
#include "wire_run.h"

struct wire_model
wire_model_of(const char *id)
{
	return (struct wire_model){
		.id = id, .max_tokens = 100, .effort = "", .members = ""
	};
}

static const struct json *
parse(struct arena *a, const char *text)
{
	const struct json *j =
	    json_parse(a, text, strlen(text), JSON_DEPTH_MAX, NULL);

	if (j == NULL)
		fail_msg("no JSON: %s", text);
	return j;
}

void
wire_text_make(struct arena *a, struct wire_text *t, const struct model_wire *w,
    const struct wire_model *m, const struct wire_doc *docs, size_t count)
{
	memset(t, 0, sizeof(*t));
	t->out = arena_new(a, struct buf);
	buf_init(t->out, a);
	buf_puts(t->out, w->start);
	for (size_t i = 0; i < count; i++) {
		struct wire_message message = {
			.text = docs[i].text,
			.len = strlen(docs[i].text),
			.doc = parse(a, docs[i].text),
			.calls = docs[i].calls == NULL
				     ? NULL
				     : parse(a, docs[i].calls),
			.own = !docs[i].foreign,
		};

		if (w->cut != NULL && t->cut_count > 0)
			w->cut(t, m, &message);
		w->add(t, m, &message);
	}
}

static const char *
or_empty(const char *s)
{
	return s == NULL ? "" : s;
}

const struct json *
wire_body(struct arena *a, const struct model_wire *w,
    const struct wire_request *rq, const struct wire_doc *docs, size_t count)
{
	struct wire_request whole = *rq;
	struct wire_text t;
	const char *before;
	struct buf body;
	size_t len;

	whole.system = or_empty(rq->system);
	whole.tools = or_empty(rq->tools);
	whole.tool_choice = or_empty(rq->tool_choice);
	whole.schema = or_empty(rq->schema);
	whole.extra = or_empty(rq->extra);
	wire_text_make(a, &t, w, rq->model, docs, count);
	len = t.out->len - MODEL_TAIL;
	before = arena_memdup(a, t.out->data, len);
	buf_init(&body, a);
	if (w->head != NULL)
		w->head(&body, &t, &whole);
	w->finish(&t, &whole);
	assert_true(t.out->len > len);
	assert_memory_equal(t.out->data, before, len);
	buf_add(&body, t.out->data, t.out->len);
	return parse(a, buf_str(&body));
}

void
expect_json(const char *what, const struct json *got, const char *wanted)
{
	struct arena *a = arena_open(4096);
	struct buf b;

	buf_init(&b, a);
	json_print(&b, got);
	if (!json_equal(got, parse(a, wanted)))
		fail_msg("%s:\n%s\nis not\n%s", what, buf_str(&b), wanted);
	arena_close(&a);
}
