/* SPDX-License-Identifier: MIT */
/*
 * The strict look at a JSON text before cJSON sees it.
 *
 * cJSON takes duplicate names, bytes after the end, bad UTF-8, 007 and
 * 1e999, and cuts strings at \u0000. Decisions hang on these documents, so
 * whatever is not exactly RFC 8259 is refused here; what passes cannot be
 * misread by a laxer parser. A recursive descent, bounded by the depth that
 * the caller gives.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/json_priv.h"

#define EXACT_DIGITS 15 /* any integer of so many digits fits a double */
#define NUMBER_MAX 63   /* characters in a number; cJSON reads no more */

struct scan {
	struct arena *arena;
	const char *start, *p, *end;
	int depth; /* levels left */
	int too_deep;
	size_t numbers;
	struct json_bigint **bigint_tail;
	const char *why;
};

static int scan_value(struct scan *s);

static int
scan_fail(struct scan *s, const char *why)
{
	if (s->why == NULL)
		s->why = why;
	return -1;
}

static void
scan_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' ||
				    *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static int
scan_hex4(struct scan *s, unsigned *out_r)
{
	unsigned v = 0;

	if (s->end - s->p < 4)
		return scan_fail(s, "escape cut short");
	for (int i = 0; i < 4; i++, s->p++) {
		char c = *s->p;

		v <<= 4;
		if (c >= '0' && c <= '9')
			v |= (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v |= (unsigned)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v |= (unsigned)(c - 'A' + 10);
		else
			return scan_fail(s, "bad \\u escape");
	}
	*out_r = v;
	return 0;
}

static int
scan_unicode_escape(struct scan *s)
{
	unsigned hi, lo;

	if (scan_hex4(s, &hi) < 0)
		return -1;
	if (hi == 0)
		return scan_fail(s, "U+0000 in a string");
	if (hi >= 0xdc00 && hi <= 0xdfff)
		return scan_fail(s, "lone surrogate");
	if (hi < 0xd800 || hi > 0xdbff)
		return 0;
	if (s->end - s->p < 2 || s->p[0] != '\\' || s->p[1] != 'u')
		return scan_fail(s, "lone surrogate");
	s->p += 2;
	if (scan_hex4(s, &lo) < 0)
		return -1;
	if (lo < 0xdc00 || lo > 0xdfff)
		return scan_fail(s, "lone surrogate");
	return 0;
}

size_t
json_utf8_char(const unsigned char *s, size_t len)
{
	unsigned min, v;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2, v = s[0] & 0x1fu, min = 0x80;
	else if ((s[0] & 0xf0) == 0xe0)
		n = 3, v = s[0] & 0x0fu, min = 0x800;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4, v = s[0] & 0x07u, min = 0x10000;
	else
		return 0;
	if (len < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (s[i] & 0x3fu);
	}
	if (v < min || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	return n;
}

size_t
json_utf8_whole(const char *s, size_t len)
{
	size_t i = 0, n;

	while (i < len) {
		n = json_utf8_char((const unsigned char *)s + i, len - i);
		if (n == 0)
			break;
		i += n;
	}
	return i;
}

static int
scan_escape(struct scan *s)
{
	if (s->p == s->end)
		return scan_fail(s, "string without end");
	switch (*s->p++) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return 0;
	case 'u':
		return scan_unicode_escape(s);
	default:
		return scan_fail(s, "unknown escape");
	}
}

/* The quote that opens it has been seen. */
static int
scan_string(struct scan *s)
{
	size_t n;

	s->p++;
	while (s->p < s->end) {
		unsigned char c = (unsigned char)*s->p;

		if (c == '"') {
			s->p++;
			return 0;
		}
		if (c < 0x20)
			return scan_fail(s, "control character in a string");
		if (c == '\\') {
			s->p++;
			if (scan_escape(s) < 0)
				return -1;
			continue;
		}
		n = json_utf8_char(
		    (const unsigned char *)s->p, (size_t)(s->end - s->p));
		if (n == 0)
			return scan_fail(s, "invalid UTF-8");
		s->p += n;
	}
	return scan_fail(s, "string without end");
}

static size_t
scan_digits(struct scan *s)
{
	const char *p = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return (size_t)(s->p - p);
}

static void
scan_note_bigint(struct scan *s, const char *text, size_t len)
{
	struct json_bigint *b;

	if (s->arena == NULL)
		return;
	b = arena_new(s->arena, struct json_bigint);
	b->ordinal = s->numbers;
	b->text = text;
	b->len = len;
	*s->bigint_tail = b;
	s->bigint_tail = &b->next;
}

static int
scan_finite(struct scan *s, const char *text, size_t len)
{
	char copy[NUMBER_MAX + 1];

	memcpy(copy, text, len);
	copy[len] = '\0';
	if (!isfinite(strtod(copy, NULL)))
		return scan_fail(s, "number out of range");
	return 0;
}

/* The fraction and the exponent. 1 there was one, 0 none, -1 malformed. */
static int
scan_number_tail(struct scan *s)
{
	int any = 0;

	if (s->p < s->end && *s->p == '.') {
		s->p++;
		any = 1;
		if (scan_digits(s) == 0)
			return scan_fail(s, "bad number");
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		any = 1;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (scan_digits(s) == 0)
			return scan_fail(s, "bad number");
	}
	return any;
}

static int
scan_number(struct scan *s)
{
	const char *text = s->p;
	size_t digits, len;
	int tail;

	if (*s->p == '-')
		s->p++;
	if (s->p < s->end && *s->p == '0') {
		s->p++;
		digits = 1;
	} else {
		digits = scan_digits(s);
	}
	if (digits == 0)
		return scan_fail(s, "bad number");
	tail = scan_number_tail(s);
	if (tail < 0)
		return -1;
	len = (size_t)(s->p - text);
	if (len > NUMBER_MAX)
		return scan_fail(s, "number too long");
	if (tail && scan_finite(s, text, len) < 0)
		return -1;
	if (!tail && digits > EXACT_DIGITS)
		scan_note_bigint(s, text, len);
	s->numbers++;
	return 0;
}

static int
scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return scan_fail(s, "unexpected character");
	s->p += n;
	return 0;
}

static int
scan_member(struct scan *s)
{
	if (s->p == s->end || *s->p != '"')
		return scan_fail(s, "a name was expected");
	if (scan_string(s) < 0)
		return -1;
	scan_space(s);
	if (s->p == s->end || *s->p != ':')
		return scan_fail(s, "a colon was expected");
	s->p++;
	return scan_value(s);
}

/* An array or an object; its bracket has been seen. */
static int
scan_list(struct scan *s, char close, int (*item)(struct scan *))
{
	s->p++;
	if (s->depth-- == 0) {
		s->too_deep = 1;
		return -1;
	}
	scan_space(s);
	if (s->p < s->end && *s->p == close) {
		s->p++;
		s->depth++;
		return 0;
	}
	for (;;) {
		scan_space(s);
		if (item(s) < 0)
			return -1;
		scan_space(s);
		if (s->p == s->end)
			return scan_fail(s, "document cut short");
		if (*s->p == close)
			break;
		if (*s->p++ != ',')
			return scan_fail(s, "a comma was expected");
	}
	s->p++;
	s->depth++;
	return 0;
}

static int
scan_value(struct scan *s)
{
	scan_space(s);
	if (s->p == s->end)
		return scan_fail(s, "document cut short");
	switch (*s->p) {
	case '{':
		return scan_list(s, '}', scan_member);
	case '[':
		return scan_list(s, ']', scan_value);
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		if (*s->p == '-' || (*s->p >= '0' && *s->p <= '9'))
			return scan_number(s);
		return scan_fail(s, "unexpected character");
	}
}

int
json_scan(struct arena *a, const char *text, size_t len, int depth,
    struct json_bigint **bigints_r, struct err *err)
{
	struct json_bigint *bigints = NULL;
	struct scan s = {
		.arena = a,
		.start = text,
		.p = text,
		.end = text + len,
		.depth = depth,
		.bigint_tail = &bigints,
	};

	if (scan_value(&s) == 0) {
		scan_space(&s);
		if (s.p != s.end)
			scan_fail(&s, "something follows the document");
	}
	if (s.too_deep)
		return err_limit(err, ERR_INVALID, "depth",
		    "the JSON nests deeper than %d levels", depth);
	if (s.why != NULL)
		return err_set(err, ERR_REQUEST,
		    "not valid JSON: %s at byte %zu", s.why,
		    (size_t)(s.p - s.start));
	if (bigints_r != NULL)
		*bigints_r = bigints;
	return 0;
}

int
json_check(const char *text, size_t len, int depth, struct err *err)
{
	return json_scan(NULL, text, len, depth, NULL, err);
}

void
json_utf8_mend(char *s)
{
	size_t len = strlen(s), at = 0;

	while ((at += json_utf8_whole(s + at, len - at)) < len)
		s[at++] = '?';
}
