/* SPDX-License-Identifier: MIT */
/*
 * Writing JSON into a buffer, without a tree in between: what the server
 * says is mostly flat, and every event is written once.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/json_priv.h"

/* For each byte: 0 stands for itself, 'u' needs \u00XX, else its letter. */
static const char escapes[256] = {
	['"'] = '"',
	['\\'] = '\\',
	['\b'] = 'b',
	['\f'] = 'f',
	['\n'] = 'n',
	['\r'] = 'r',
	['\t'] = 't',
	[0x7f] = 'u',
};

static char
escape_of(unsigned char c)
{
	if (escapes[c] != 0)
		return escapes[c];
	return c < 0x20 ? 'u' : 0;
}

void
json_escape(struct buf *b, const char *s, size_t len)
{
	size_t from = 0;

	buf_reserve(b, len + 2);
	for (size_t i = 0; i < len; i++) {
		char e = escape_of((unsigned char)s[i]);

		if (e == 0)
			continue;
		buf_add(b, s + from, i - from);
		from = i + 1;
		if (e == 'u')
			buf_printf(b, "\\u%04x", (unsigned char)s[i]);
		else
			buf_add(b, (const char[]){ '\\', e }, 2);
	}
	buf_add(b, s + from, len - from);
}

/*
 * A comma unless this is the first thing of its list, of the buffer, or of
 * what follows a space or line end (the "data: " of an event).
 */
static void
add_comma(struct buf *b)
{
	if (b->len > 0 && strchr("{[: \n", b->data[b->len - 1]) == NULL)
		buf_putc(b, ',');
}

static void
add_name(struct buf *b, const char *name)
{
	add_comma(b);
	if (name == NULL)
		return;
	buf_putc(b, '"');
	json_escape(b, name, strlen(name));
	buf_lit(b, "\":");
}

void
json_open(struct buf *b, const char *name, char bracket)
{
	add_name(b, name);
	buf_putc(b, bracket);
}

void
json_close(struct buf *b, char bracket)
{
	buf_putc(b, bracket);
}

void
json_add_strn(struct buf *b, const char *name, const char *value, size_t len)
{
	add_name(b, name);
	buf_putc(b, '"');
	json_escape(b, value, len);
	buf_putc(b, '"');
}

void
json_add_str(struct buf *b, const char *name, const char *value)
{
	json_add_strn(b, name, value, strlen(value));
}

void
json_add_int(struct buf *b, const char *name, int64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%" PRId64, value);

	json_add_raw(b, name, text, (size_t)n);
}

void
json_add_billionths(struct buf *b, const char *name, int64_t v)
{
	char text[40];

	json_add_raw(b, name, text,
	    (size_t)snprintf(text, sizeof(text), "%" PRId64 ".%09" PRId64,
		v / 1000000000, v % 1000000000));
}

void
json_add_bool(struct buf *b, const char *name, int value)
{
	json_add_raw(b, name, value ? "true" : "false", value ? 4 : 5);
}

void
json_add_null(struct buf *b, const char *name)
{
	json_add_raw(b, name, "null", 4);
}

void
json_add_raw(struct buf *b, const char *name, const char *raw, size_t len)
{
	add_name(b, name);
	buf_add(b, raw, len);
}

static void
print_number(struct buf *b, const struct json *j)
{
	char text[40];
	int64_t i;
	double d;

	if (json_number_text(j) != NULL) {
		buf_puts(b, json_number_text(j));
		return;
	}
	if (json_int(j, &i)) {
		buf_printf(b, "%" PRId64, i);
		return;
	}
	if (!json_double(j, &d))
		d = 0;
	snprintf(text, sizeof(text), "%.15g", d);
	if (strtod(text, NULL) != d)
		snprintf(text, sizeof(text), "%.17g", d);
	buf_puts(b, text);
}

static void
print_list(struct buf *b, const struct json *j, const char *brackets)
{
	buf_putc(b, brackets[0]);
	for (const struct json *c = json_first(j); c != NULL;
	     c = json_next(c)) {
		if (brackets[0] == '{')
			add_name(b, json_name(c));
		else
			add_comma(b);
		json_print(b, c);
	}
	buf_putc(b, brackets[1]);
}

void
json_print(struct buf *b, const struct json *j)
{
	const char *s;

	switch (json_type(j)) {
	case JSON_OBJECT:
		print_list(b, j, "{}");
		break;
	case JSON_ARRAY:
		print_list(b, j, "[]");
		break;
	case JSON_STRING:
		s = json_str(j);
		buf_putc(b, '"');
		json_escape(b, s, strlen(s));
		buf_putc(b, '"');
		break;
	case JSON_NUMBER:
		print_number(b, j);
		break;
	case JSON_BOOL:
		buf_puts(b, json_bool(j) ? "true" : "false");
		break;
	case JSON_NULL:
		buf_lit(b, "null");
		break;
	}
}

void
json_add_json(struct buf *b, const char *name, const struct json *j)
{
	add_name(b, name);
	json_print(b, j);
}
