/* SPDX-License-Identifier: MIT */
/*
 * Events that differ in a text, and perhaps in counts, told without a parser.
 *
 * A frame is the bytes of a document with holes in them. What stands in a hole
 * is checked as the parser would, and taken only if it is simple: a number in
 * digits, a string whose escapes are single characters. All else is left to
 * the parser.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "model/text_frame.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A place in a document that is to become a hole. */
struct place {
	const char *at;
	size_t len;
	struct text_hole hole;
};

/*
 * Where the value of the only member of that name begins; NULL if there is
 * none or another. A quote inside a string is escaped, so what is found is no
 * part of one unless a backslash stands before it.
 */
static const char *
find_value(const char *json, size_t len, const char *name)
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
	if (at == end || *at++ != ':')
		return NULL;
	if (at < end && *at == ' ')
		at++;
	return at < end ? at : NULL;
}

/* Up to the quote that ends a string: its length, or -1 if it is none. */
static int64_t
string_len(const char *s, const char *end, int *escaped_r)
{
	const char *p = s;
	unsigned char all = 0;

	*escaped_r = 0;
	for (; p < end && *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			return -1;
		all |= (unsigned char)*p;
		if (*p == '\\') {
			*escaped_r = 1;
			if (++p == end)
				return -1;
		}
	}
	if (p == end || (all >= 0x80 && json_utf8_whole(s, (size_t)(p - s)) !=
					    (size_t)(p - s)))
		return -1;
	return p - s;
}

/* The length of a number of digits alone, 0 if there is none. */
static size_t
number_len(const char *s, const char *end, int64_t *n_r)
{
	const char *p = s;

	*n_r = 0;
	while (p < end && *p >= '0' && *p <= '9' &&
	       p - s <= TEXT_FRAME_NUMBER_DIGITS)
		*n_r = *n_r * 10 + (*p++ - '0');
	if (p - s > TEXT_FRAME_NUMBER_DIGITS || (*s == '0' && p - s > 1))
		return 0;
	return (size_t)(p - s);
}

/* ---- escapes ---- */

/* Of the four digits of \u: 0 for what the parser has to look at. */
static unsigned
unit_read(const char *p, const char *end)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	unsigned v = 0;

	if (end - p < 4)
		return 0;
	for (int i = 0; i < 4; i++) {
		const char *at = memchr(digits, p[i], sizeof(digits) - 1);

		if (at == NULL)
			return 0;
		v = v << 4 | (unsigned)((at - digits) & 15);
	}
	return v >= 0xd800 && v <= 0xdfff ? 0 : v;
}

static size_t
unit_write(unsigned v, char out[3])
{
	size_t n = 0;

	if (v < 0x80) {
		out[n++] = (char)v;
	} else if (v < 0x800) {
		out[n++] = (char)(0xc0 | v >> 6);
		out[n++] = (char)(0x80 | (v & 0x3f));
	} else {
		out[n++] = (char)(0xe0 | v >> 12);
		out[n++] = (char)(0x80 | (v >> 6 & 0x3f));
		out[n++] = (char)(0x80 | (v & 0x3f));
	}
	return n;
}

/* The escape at *p, which it passes: the bytes written, 0 if it is not one of
 * a single character. */
static size_t
escape_read(const char **p, const char *end, char out[3])
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = memchr(from, (*p)[1], sizeof(from) - 1);
	unsigned v;

	if (at != NULL) {
		*p += 2;
		out[0] = to[at - from];
		return 1;
	}
	v = (*p)[1] == 'u' ? unit_read(*p + 2, end) : 0;
	if (v == 0)
		return 0;
	*p += 6;
	return unit_write(v, out);
}

/* 0, or -1 if it is not for us. */
static int
unescape(struct buf *plain, const char *s, size_t len)
{
	const char *end = s + len, *to;
	char out[3];
	size_t n;

	buf_clear(plain);
	while (s < end) {
		to = memchr(s, '\\', (size_t)(end - s));
		if (to == NULL)
			to = end;
		buf_add(plain, s, (size_t)(to - s));
		s = to;
		if (s == end)
			break;
		n = escape_read(&s, end, out);
		if (n == 0)
			return -1;
		buf_add(plain, out, n);
	}
	return 0;
}

/* 1 if the string is value. */
static int
string_is(const char *s, size_t len, const char *value)
{
	const char *end = s + len;
	char out[3];
	size_t n;

	while (s < end) {
		n = 1;
		out[0] = *s;
		if (*s == '\\')
			n = escape_read(&s, end, out);
		else
			s++;
		if (n == 0 || strncmp(value, out, n) != 0)
			return 0;
		value += n;
	}
	return *value == '\0';
}

/* ---- learning ---- */

static int
place_text(struct place *pl, const char *json, size_t len, const char *name,
    const char *value)
{
	const char *at = find_value(json, len, name);
	int64_t n;
	int escaped;

	if (at == NULL || *at++ != '"')
		return 0;
	n = string_len(at, json + len, &escaped);
	if (n <= 0 || !string_is(at, (size_t)n, value))
		return 0;
	*pl = (struct place){ at, (size_t)n, { 0, -1, 1 } };
	return 1;
}

/* A member that may differ. */
static int
place_vary(struct place *pl, const char *json, size_t len, const char *name,
    int what, int64_t *number)
{
	const char *at = find_value(json, len, name), *end = json + len;
	int64_t n, string;
	int escaped;
	size_t digits;

	if (at == NULL)
		return 0;
	if (*at == '"') {
		string = string_len(++at, end, &escaped);
		*pl = (struct place){ at, (size_t)string, { 0, what, 1 } };
		return string >= 0 && !escaped;
	}
	digits = number_len(at, end, &n);
	if (digits == 0 || at + digits == end ||
	    memchr(",}] \t\r\n", at[digits], 7) == NULL)
		return 0;
	*number = n;
	*pl = (struct place){ at, digits, { 0, what, 0 } };
	return 1;
}

static void
places_sort(struct place *pl, int count)
{
	for (int i = 1; i < count; i++) {
		struct place one = pl[i];
		int k = i;

		for (; k > 0 && pl[k - 1].at > one.at; k--)
			pl[k] = pl[k - 1];
		pl[k] = one;
	}
}

static void
frame_cut(struct text_frame *f, const char *json, size_t len,
    const struct place *pl, int count)
{
	const char *from = json, *end = json + len;
	char *to = f->bytes;

	for (int i = 0; i < count; i++) {
		f->hole[i] = pl[i].hole;
		f->hole[i].before = (size_t)(pl[i].at - from);
		memcpy(to, from, f->hole[i].before);
		to += f->hole[i].before;
		from = pl[i].at + pl[i].len;
	}
	f->tail = (size_t)(end - from);
	memcpy(to, from, f->tail);
	f->holes = count;
}

int
text_frame_learn(struct text_frame *f, const char *json, size_t len,
    const char *name, const char *value, const char *const *vary)
{
	struct place pl[TEXT_FRAME_VARY + 1];
	int64_t number[TEXT_FRAME_VARY];
	size_t fixed;
	int count = 1;

	if (value == NULL || *value == '\0' ||
	    !place_text(&pl[0], json, len, name, value))
		return 0;
	for (size_t i = 0; i < COUNT(number); i++)
		number[i] = TEXT_FRAME_NONE;
	for (int i = 0; vary != NULL && i < TEXT_FRAME_VARY && vary[i] != NULL;
	     i++)
		count +=
		    place_vary(&pl[count], json, len, vary[i], i, &number[i]);
	fixed = len;
	for (int i = 0; i < count; i++)
		fixed -= pl[i].len;
	if (fixed > sizeof(f->bytes))
		return 0;
	places_sort(pl, count);
	frame_cut(f, json, len, pl, count);
	memcpy(f->number, number, sizeof(number));
	return 1;
}

/* ---- matching ---- */

/* What stands in a hole: where it ends, or NULL if it is not for us. */
static const char *
hole_match(const struct text_hole *h, const char *p, const char *end,
    int64_t *number, int *escaped_r)
{
	int64_t n;

	if (!h->is_text) {
		n = p == end ? 0 : (int64_t)number_len(p, end, number);
		return n > 0 ? p + n : NULL;
	}
	n = string_len(p, end, escaped_r);
	if (n < 0 || (h->what >= 0 && *escaped_r) || (h->what < 0 && n == 0))
		return NULL;
	return p + n;
}

int
text_frame_match(struct text_frame *f, const char *json, size_t len,
    struct buf *plain, const char **text_r, size_t *text_len_r)
{
	const char *p = json, *end = json + len, *from = f->bytes, *to;
	int64_t number[TEXT_FRAME_VARY], unused;
	int escaped = 0, ignored;

	if (f->holes == 0)
		return 0;
	memcpy(number, f->number, sizeof(number));
	for (int i = 0; i < f->holes; i++) {
		const struct text_hole *h = &f->hole[i];
		int own = h->what < 0;

		if ((size_t)(end - p) < h->before ||
		    memcmp(p, from, h->before) != 0)
			return 0;
		p += h->before;
		from += h->before;
		to = hole_match(h, p, end, own ? &unused : &number[h->what],
		    own ? &escaped : &ignored);
		if (to == NULL)
			return 0;
		if (own) {
			*text_r = p;
			*text_len_r = (size_t)(to - p);
		}
		p = to;
	}
	if ((size_t)(end - p) != f->tail || memcmp(p, from, f->tail) != 0)
		return 0;
	if (escaped) {
		if (unescape(plain, *text_r, *text_len_r) < 0)
			return 0;
		*text_r = plain->data;
		*text_len_r = plain->len;
	}
	memcpy(f->number, number, sizeof(number));
	return 1;
}

void
text_frame_forget(struct text_frame *f)
{
	f->holes = 0;
}
