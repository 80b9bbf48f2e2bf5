/* SPDX-License-Identifier: MIT */
/*
 * The store knows documents, the models' wires know messages; here one is made
 * of the other. What the model itself has said goes back to it in its own
 * words, which the document has beside ours; by whom it was said stands in the
 * document's head, and so do the names of the tools whose results it brings.
 */
#include "config.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/forms.h"
#include "base/arena.h"
#include "base/json.h"
#include "model/content.h"
#include "model/wire.h"

struct form {
	struct history_form base; /* first */
	const struct model *model;
	const struct model_wire *wire;
	char *by; /* "by":"API:ID", as a head has it */
};

struct forms {
	const struct models *models;
	struct form *form; /* in the models' order */
	size_t count;
};

/* ---- a document ---- */

static int
head_has(const struct history_doc *doc, const char *text)
{
	return memmem(doc->head, doc->head_len, text, strlen(text)) != NULL;
}

/* The names of the calls that the document has results of. */
static const struct json *
head_calls(struct arena *a, const struct history_doc *doc)
{
	char *head;

	if (!head_has(doc, "\"calls\":{"))
		return NULL;
	head = arena_alloc(a, doc->head_len + 2);
	memcpy(head, doc->head, doc->head_len);
	head[doc->head_len] = '}';
	return json_get(
	    json_parse(a, head, doc->head_len + 1, JSON_DEPTH_MAX, NULL),
	    "calls");
}

static int
is_assistant(const struct history_doc *doc)
{
	static const char start[] = "\"role\":\"assistant\"";

	return doc->len >= sizeof(start) - 1 &&
	       memcmp(doc->text, start, sizeof(start) - 1) == 0;
}

/* Images and documents that the model does not take. */
static void
fit(struct arena *a, const struct model *model, struct wire_message *m)
{
	const char *other = content_fit(a, model, m->doc);

	if (other == NULL)
		return;
	m->text = other;
	m->len = strlen(other);
	m->doc = json_parse(a, other, m->len, JSON_DEPTH_MAX, NULL);
}

/* 0, or -1 if it is damaged. */
static int
form_read(const struct form *f, struct arena *a, const struct history_doc *doc,
    struct wire_message *m)
{
	char *copy = arena_alloc(a, doc->len + 2);

	memset(m, 0, sizeof(*m));
	m->len = doc->len + 1;
	copy[0] = '{';
	memcpy(copy + 1, doc->text, doc->len);
	copy[m->len] = '\0';
	m->text = copy;
	m->own = !is_assistant(doc) || head_has(doc, f->by);
	if (f->wire->parses || !m->own ||
	    memmem(copy, m->len, "\"source\":", 9) != NULL) {
		m->doc = json_parse(a, copy, m->len, JSON_DEPTH_MAX, NULL);
		m->calls = head_calls(a, doc);
		fit(a, f->model, m);
	}
	return m->doc == NULL && f->wire->parses ? -1 : 0;
}

static void
form_cut(const struct history_form *base, void *state, struct buf *text,
    const struct history_doc *doc)
{
	const struct form *f = (const struct form *)(const void *)base;
	struct wire_text *t = state;
	struct wire_message m;
	struct arena *a;

	if (t->cut_count == 0 || f->wire->cut == NULL)
		return;
	a = arena_open(doc->len + 256);
	t->out = text;
	if (form_read(f, a, doc, &m) == 0)
		f->wire->cut(t, model_on_wire(f->model), &m);
	arena_close(&a);
}

static void
form_add(const struct history_form *base, void *state, struct buf *text,
    const struct history_doc *doc)
{
	const struct form *f = (const struct form *)(const void *)base;
	struct arena *a = arena_open(doc->len + 256);
	struct wire_text *t = state;
	struct wire_message m;

	t->out = text;
	if (form_read(f, a, doc, &m) == 0)
		f->wire->add(t, model_on_wire(f->model), &m);
	arena_close(&a);
}

/* ---- all of them ---- */

struct forms *
forms_new(const struct models *models)
{
	struct forms *f = calloc(1, sizeof(*f));
	const struct model *m;
	struct form *form;
	struct buf by;

	if (f == NULL)
		abort();
	f->models = models;
	while (models_at(models, f->count) != NULL)
		f->count++;
	f->form = calloc(f->count, sizeof(*f->form));
	if (f->form == NULL)
		abort();
	for (size_t i = 0; i < f->count; i++) {
		m = models_at(models, i);
		form = &f->form[i];
		form->model = m;
		form->wire = model_wire_of(m);
		form->base.start = form->wire->start;
		form->base.plain = !form->wire->parses;
		form->base.state_bytes = form->wire->keeps
					     ? sizeof(struct wire_text)
					     : offsetof(struct wire_text, cuts);
		form->base.before = form_cut;
		form->base.add = form_add;
		buf_init(&by, NULL);
		json_add_str(&by, "by", model_by(m));
		form->by = strdup(buf_str(&by));
		buf_fini(&by);
	}
	return f;
}

void
forms_free(struct forms **f_p)
{
	struct forms *f = *f_p;

	if (f == NULL)
		return;
	*f_p = NULL;
	for (size_t i = 0; i < f->count; i++)
		free(f->form[i].by);
	free(f->form);
	free(f);
}

const struct history_form *
forms_of(const struct forms *f, const struct model *m)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->form[i].model == m)
			return &f->form[i].base;
	abort();
}

const struct history_form *
forms_choose(void *forms, const char *model)
{
	const struct forms *f = forms;
	const struct model *m = models_find(f->models, model);

	return m == NULL ? &f->form[0].base : forms_of(f, m);
}

const struct model *
form_model(const struct history_form *form)
{
	return ((const struct form *)(const void *)form)->model;
}

/* ---- requests ---- */

int64_t
form_entries(const struct history *h)
{
	return ((const struct wire_text *)h->state)->shown;
}

unsigned
form_round(const struct history *h)
{
	return ((const struct wire_text *)h->state)->round;
}

int64_t
form_message(
    struct arena *a, const struct model *m, struct buf *out, const char *text)
{
	const struct model_wire *w = model_wire_of(m);
	struct wire_text t = { .out = out };
	struct wire_message message = { .own = 1 };
	struct buf doc;

	buf_init(&doc, a);
	json_open(&doc, NULL, '{');
	json_add_str(&doc, "role", "user");
	json_open(&doc, "content", '[');
	json_open(&doc, NULL, '{');
	json_add_str(&doc, "type", "text");
	json_add_str(&doc, "text", text);
	buf_puts(&doc, "}]}");
	message.text = doc.data;
	message.len = doc.len;
	if (w->parses)
		message.doc =
		    json_parse(a, doc.data, doc.len, JSON_DEPTH_MAX, NULL);
	buf_puts(out, w->start);
	w->add(&t, model_on_wire(m), &message);
	return t.shown;
}

const char *
form_tools(struct arena *a, const struct model *m, const char *tools)
{
	const struct model_wire *w = model_wire_of(m);
	struct buf out;

	if (*tools == '\0' || !w->parses)
		return tools;
	buf_init(&out, a);
	w->tools(&out, tools, model_on_wire(m)->quirks);
	return buf_str(&out);
}
