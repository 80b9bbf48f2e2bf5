/* SPDX-License-Identifier: MIT */
/*
 * What an answer says, as blocks: a run of thinking, a run of text, one after
 * the other, never two at a time.
 *
 * A worker that dies in the middle of an answer leaves it to its heir, who
 * makes it again (stream_reset). A block that is complete by then cannot be
 * taken back: clients append whatever is completed. So what is said again
 * under the same id becomes an update of it, when it is whole; if it is not
 * said again its content becomes empty.
 */
#include "config.h"

#include <string.h>

#include "session/view_priv.h"

#define TEXT_BYTES 65536 /* that are kept for the next block */

static struct block
block_of(const struct conversation *c)
{
	struct block k = block_make(c->type, c->block, c->block_ms);

	k.text = buf_str(&c->text);
	k.text_len = c->text.len;
	return k;
}

static struct told *
told_find(const struct conversation *c, const char *id)
{
	struct told *t = c->told;

	while (t != NULL && strcmp(t->id, id) != 0)
		t = t->next;
	return t;
}

static void
told_set(struct conversation *c, struct told *t)
{
	t->text = arena_memdup(c->step_arena, buf_str(&c->text), c->text.len);
	t->len = c->text.len;
	t->again = 1;
}

static void
told_add(struct conversation *c)
{
	struct told *t = arena_new(c->step_arena, struct told);

	memcpy(t->id, c->block, sizeof(t->id));
	t->type = c->type;
	told_set(c, t);
	t->next = c->told;
	c->told = t;
}

/* A block that is complete says something else now. */
static void
told_update(struct feed *f, const struct told *t, const char *text, size_t len)
{
	struct emit_head h = feed_head(f);
	struct block k = block_make(t->type, t->id, f->time_ms);

	k.text = text;
	k.text_len = len;
	emit_block_content(f->out, &h, &k);
}

static void
block_end(struct feed *f, const char *model)
{
	struct conversation *c = f->c;
	struct emit_head h = feed_head(f);
	struct block k = block_of(c);
	struct told *t = told_find(c, c->block);

	if (!c->open)
		return;
	c->open = 0;
	if (c->again && t != NULL) {
		if (t->len != k.text_len ||
		    memcmp(t->text, k.text, k.text_len) != 0)
			told_update(f, t, k.text, k.text_len);
		told_set(c, t);
		return;
	}
	k.model = c->type == BLOCK_ASSISTANT_TEXT ? model : NULL;
	if (k.text_len == 0) {
		emit_block_void(f->out, &h, &k); /* it began again, and not */
		memcpy(c->hanging, c->block, sizeof(c->hanging));
		c->hanging_type = c->type;
		return;
	}
	emit_block_complete(f->out, &h, &k);
	c->hanging[0] = '\0';
	told_add(c);
}

static void
block_begin(struct feed *f, enum block_type type)
{
	struct conversation *c = f->c;
	struct emit_head h = feed_head(f);
	char id[BLOCK_ID_SIZE];
	struct block k;

	block_id_answer(id, f->turn, f->step, type, c->numbers[type]++);
	/* What a reset has emptied goes on, if it is the same one again. */
	if (c->open && c->text.len == 0 && strcmp(id, c->block) == 0)
		return;
	block_end(f, NULL);
	if (strcmp(id, c->hanging) == 0)
		c->hanging[0] = '\0';
	memcpy(c->block, id, sizeof(id));
	c->type = type;
	c->block_ms = f->time_ms;
	buf_trim(&c->text, TEXT_BYTES);
	c->open = 1;
	c->again = told_find(c, id) != NULL;
	k = block_of(c);
	if (!c->again)
		emit_block_start(f->out, &h, &k);
}

void
answer_add(struct feed *f, enum block_type type, const char *text)
{
	struct conversation *c = f->c;
	struct emit_head h = feed_head(f);
	size_t len = strlen(text);

	if (!c->known || len == 0)
		return;
	if (f->step != c->step) {
		answer_end(f, NULL);
		c->step = f->step;
		memset(c->numbers, 0, sizeof(c->numbers));
	}
	if (!c->open || c->type != type || c->text.len == 0)
		block_begin(f, type);
	buf_add(&c->text, text, len);
	if (!c->again)
		emit_block_delta(f->out, &h, c->block, text, len);
}

void
answer_reset(struct feed *f)
{
	struct conversation *c = f->c;
	struct emit_head h = feed_head(f);
	struct block k;

	c->known = 1;
	if (c->step != f->step)
		return; /* nothing of it was told */
	memset(c->numbers, 0, sizeof(c->numbers));
	for (struct told *t = c->told; t != NULL; t = t->next)
		t->again = 0;
	if (c->open && c->again) {
		c->open = 0;
	} else if (c->open) {
		buf_clear(&c->text);
		k = block_of(c);
		emit_block_start(f->out, &h, &k);
	}
}

/* A block that began again and got nothing is complete all the same, if no
 * other was since: clients take it for one that streams until then. */
static void
hanging_end(struct feed *f)
{
	struct conversation *c = f->c;
	struct emit_head h = feed_head(f);
	struct block k = block_make(c->hanging_type, c->hanging, f->time_ms);

	if (c->hanging[0] != '\0')
		emit_block_old(f->out, &h, &k);
	c->hanging[0] = '\0';
}

void
answer_end(struct feed *f, const char *model)
{
	struct conversation *c = f->c;

	block_end(f, model);
	hanging_end(f);
	for (struct told *t = c->told; t != NULL; t = t->next)
		if (!t->again && t->len > 0)
			told_update(f, t, "", 0);
	c->told = NULL;
	arena_reset(c->step_arena);
	c->known = 1;
}

void
answer_forget(struct feed *f)
{
	struct conversation *c = f->c;
	struct emit_head h = feed_head(f);
	struct block k;

	if (c->open && !c->again) {
		buf_clear(&c->text);
		k = block_of(c);
		emit_block_start(f->out, &h, &k);
		k.status = BLOCK_SUCCESS;
		emit_block_void(f->out, &h, &k);
	}
	c->open = 0;
	c->known = 0;
}

/* Those of the step that are complete, the first of them first. */
static void
tell_again(
    const struct told *t, const struct emit_head *h, struct session_out *out)
{
	struct block k;

	if (t == NULL)
		return;
	tell_again(t->next, h, out);
	if (t->len == 0)
		return;
	k = block_make(t->type, t->id, h->time_ms);
	emit_block_start(out, h, &k);
	emit_block_delta(out, h, t->id, t->text, t->len);
	k.text = t->text;
	k.text_len = t->len;
	emit_block_complete(out, h, &k);
}

/* In no history there is anything of a step whose answer is not over. */
static void
catch_up(const struct session_view *v, const struct conversation *c,
    struct session_out *out)
{
	struct emit_head h = { v->session, c->id, c->block_ms };
	struct block k = block_make(c->type, c->block, c->block_ms);

	tell_again(c->told, &h, out);
	if (!c->open || c->again)
		return;
	emit_block_start(out, &h, &k);
	if (c->text.len == 0)
		return;
	emit_block_delta(out, &h, c->block, buf_str(&c->text), c->text.len);
}

void
session_view_catch_up(const struct session_view *v, struct session_out *out)
{
	catch_up(v, v->main, out);
	for (const struct conversation *c = v->children; c != NULL; c = c->next)
		catch_up(v, c, out);
}
