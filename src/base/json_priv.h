/* SPDX-License-Identifier: MIT */
#ifndef BASE_JSON_PRIV_H
#define BASE_JSON_PRIV_H

#include <stddef.h>

struct arena;
struct err;
struct json;

/* An integer that a double cannot hold: which number it was, and its text. */
struct json_bigint {
	struct json_bigint *next;
	size_t ordinal; /* the how-manieth number of the document, from 0 */
	const char *text;
	size_t len;
};

/*
 * The strict grammar over len bytes. With an arena, *bigints_r gets the
 * integers beyond 2^53 in order of appearance. 0 or -1.
 */
int json_scan(struct arena *a, const char *text, size_t len, int depth,
    struct json_bigint **bigints_r, struct err *err);

/* The length of the UTF-8 character at s (RFC 3629), 0 if it is not one. */
size_t json_utf8_char(const unsigned char *s, size_t len);

/* The text of an integer that was kept as text, else NULL. */
const char *json_number_text(const struct json *j);

#endif
