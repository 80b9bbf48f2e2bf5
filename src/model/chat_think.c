/* SPDX-License-Identifier: MIT */
/*
 * Thinking between tags in the text: <think>...</think>, as servers without a
 * parser of their own send it (spec/providers.md, section 0, "Reasoning
 * text"). A quirk, because an answer may be about the tags.
 *
 * Only an answer's start may have the opening tag. Where it has none, it may
 * have been in the prompt: what came before a closing tag was thinking. That
 * is known too late for the one who watches, who saw it as text; the history
 * has it right. White space around the tags is left out; an answer without tags
 * stays as it is.
 *
 * A tag may come in any pieces: what may be its start waits, a few bytes,
 * until the next one comes.
 */
#include "config.h"

#include <string.h>

#include "base/err.h"
#include "model/chat_priv.h"
#include "model/complaint.h"
#include "model/decode_priv.h"

static const char open_tag[] = "<think>";
static const char close_tag[] = "</think>";

static enum model_block_kind
think_kind(const struct chat_think *t)
{
	return t->at == CHAT_TAGS_THINK ? MODEL_BLOCK_THINKING
					: MODEL_BLOCK_TEXT;
}

/* The tag was in the prompt. */
static void
text_was_thinking(struct model_decode *d)
{
	struct model_block *b = d->r.block;

	for (int i = 0; i < d->r.block_count; i++, b++)
		if (b->kind == MODEL_BLOCK_TEXT) {
			b->kind = MODEL_BLOCK_THINKING;
			model_copy_str(b->type, sizeof(b->type), "thinking");
		}
}

static int
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind a tag: the first that is no white space decides nothing. */
static size_t
think_skip(struct chat_think *t, const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && is_space(text[i]))
		i++;
	if (i < len)
		t->at =
		    t->at == CHAT_TAGS_OPEN ? CHAT_TAGS_THINK : CHAT_TAGS_TEXT;
	return i;
}

/* The answer starts with no tag: what waited is text. */
static int
think_none(struct model_decode *d, struct err *err)
{
	struct chat_think *t = &((struct chat *)d->own)->think;
	size_t matched = t->matched;

	t->at = CHAT_TAGS_NONE;
	t->matched = 0;
	if (chat_think(d, t->lead, t->leads, err) < 0)
		return -1;
	return chat_think(d, open_tag, matched, err);
}

/* The start of an answer: the opening tag or something else. */
static int
think_start(struct model_decode *d, const char *text, size_t len,
    size_t *used_r, struct err *err)
{
	struct chat_think *t = &((struct chat *)d->own)->think;
	size_t i = 0;

	while (i < len && t->matched == 0 && is_space(text[i]) &&
	       t->leads < sizeof(t->lead))
		t->lead[t->leads++] = text[i++];
	while (i < len && text[i] == open_tag[t->matched]) {
		i++;
		if (open_tag[++t->matched] == '\0') {
			t->at = CHAT_TAGS_OPEN;
			t->matched = 0;
			break;
		}
	}
	*used_r = i;
	return i == len || t->at == CHAT_TAGS_OPEN ? 0 : think_none(d, err);
}

/* Up to the closing tag or the end. */
static int
think_scan(struct model_decode *d, const char *text, size_t len, size_t *used_r,
    struct err *err)
{
	struct chat_think *t = &((struct chat *)d->own)->think;
	enum model_block_kind kind = think_kind(t);
	size_t held = t->matched, i = 0; /* held: of earlier pieces */
	int found = 0;

	for (; i < len && !found; i++) {
		if (text[i] != close_tag[t->matched]) {
			if (chat_show(d, kind, close_tag, held, err) < 0)
				return -1;
			held = t->matched = 0;
			if (text[i] != close_tag[0])
				continue;
		}
		found = close_tag[++t->matched] == '\0';
	}
	*used_r = i;
	if (chat_show(d, kind, text, i - (t->matched - held), err) < 0)
		return -1;
	if (!found)
		return 0;
	if (t->at == CHAT_TAGS_NONE)
		text_was_thinking(d);
	t->at = CHAT_TAGS_CLOSED;
	t->matched = 0;
	return 0;
}

int
chat_think(
    struct model_decode *d, const char *text, size_t len, struct err *err)
{
	struct chat_think *t = &((struct chat *)d->own)->think;
	size_t used;
	int rc = 0;

	for (; rc == 0 && len > 0; text += used, len -= used) {
		used = len;
		switch (t->at) {
		case CHAT_TAGS_START:
			rc = think_start(d, text, len, &used, err);
			break;
		case CHAT_TAGS_NONE:
		case CHAT_TAGS_THINK:
			rc = think_scan(d, text, len, &used, err);
			break;
		case CHAT_TAGS_OPEN:
		case CHAT_TAGS_CLOSED:
			used = think_skip(t, text, len);
			break;
		case CHAT_TAGS_TEXT:
			rc = chat_show(d, MODEL_BLOCK_TEXT, text, len, err);
			break;
		}
	}
	return rc;
}

int
chat_think_flush(struct model_decode *d, struct err *err)
{
	struct chat_think *t = &((struct chat *)d->own)->think;
	size_t n;

	if (t->at == CHAT_TAGS_START && t->leads + t->matched > 0 &&
	    think_none(d, err) < 0)
		return -1;
	n = t->matched;
	t->matched = 0;
	return chat_show(d, think_kind(t), close_tag, n, err);
}
