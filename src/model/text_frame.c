/* SPDX-License-Identifier: MIT */
/* Events that differ in a text only, told without a parser. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "model/text_frame.h"

/*
 * Where the text of the only member of that name begins, as "name":" before
 * it; NULL if there is none or another. A quote inside a string is escaped,
 * so what is found is no part of one unless a backslash stands before it.
 */
static const char *
find_text(const char *json, size_t len, const char *name)
{
	char quoted[64];
	const char *at, *end = json + len;
	size_t n;

	n = (size_t)snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	at = memmem(json, len, quoted, n);
	if (at == NULL || at == json || at[-1] == '\\')
		return NULL;
	at += n;
	if (memmem(at, (size_t)(end - at), quoted, n) != NULL)
		return NULL;
	if (end - at < 2 || at[0] != ':' || at[1] != '"')
		return NULL;
	return at + 2;
}

/* Characters that stand for themselves in a string of JSON. */
static int
is_plain(const char *s, size_t len)
{
	unsigned char all = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == '"' || c == '\\')
			return 0;
		all |= c;
	}
	return all < 0x80 || json_utf8_whole(s, len) == len;
}

int
text_frame_learn(struct text_frame *f, const char *json, size_t len,
    const char *name, const char *value)
{
	const char *text = find_text(json, len, name);
	size_t n = value == NULL ? 0 : strlen(value), head, tail;

	if (text == NULL || n == 0 || !is_plain(value, n))
		return 0;
	head = (size_t)(text - json);
	if (len - head < n + 1 || memcmp(text, value, n) != 0 || text[n] != '"')
		return 0;
	tail = len - head - n;
	if (head + tail > sizeof(f->bytes))
		return 0;
	memcpy(f->bytes, json, head);
	memcpy(f->bytes + head, text + n, tail);
	f->head = head;
	f->tail = tail;
	return 1;
}

int
text_frame_match(const struct text_frame *f, const char *json, size_t len,
    const char **text_r, size_t *text_len_r)
{
	size_t n;

	if (f->head == 0 || len <= f->head + f->tail)
		return 0;
	n = len - f->head - f->tail;
	if (memcmp(json, f->bytes, f->head) != 0 ||
	    memcmp(json + f->head + n, f->bytes + f->head, f->tail) != 0 ||
	    !is_plain(json + f->head, n))
		return 0;
	*text_r = json + f->head;
	*text_len_r = n;
	return 1;
}
