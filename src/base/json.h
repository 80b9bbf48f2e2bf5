/* SPDX-License-Identifier: MIT */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct err;

/*
 * JSON, strictly (RFC 8259, and I-JSON's rules, RFC 7493): one document,
 * valid UTF-8, no U+0000, no duplicate names, names compared by case, bounded
 * depth, integers of 64 bits kept exactly. The only module that sees cJSON.
 */
struct json;

/* The library behind it and its version, as loaded; static. */
const char *json_library(void);

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

#define JSON_DEPTH_MAX 64 /* what a caller may ask for at most */

/*
 * Parses len bytes that nest at most depth levels. The document is the
 * arena's. NULL and ERR_REQUEST if it is not such a document; the text of the
 * error has the offset and never the input. ERR_INVALID with the limit
 * "depth" if it nests deeper.
 */
struct json *json_parse(
    struct arena *a, const char *text, size_t len, int depth, struct err *err);

/* The same check without building anything. 0 or -1. */
int json_check(const char *text, size_t len, int depth, struct err *err);

enum json_type json_type(const struct json *j);
int json_is(const struct json *j, enum json_type type); /* NULL: no */

/* A member, or NULL; NULL too if j is NULL or no object. */
const struct json *json_get(const struct json *j, const char *name);

/* The first member or element and the one after; NULL at the end. */
const struct json *json_first(const struct json *j);
const struct json *json_next(const struct json *j);

/* A member's name. */
const char *json_name(const struct json *j);

/* Members or elements; 0 if there are none or j is a scalar or NULL. */
size_t json_count(const struct json *j);

/* The text if j is a string, else NULL. */
const char *json_str(const struct json *j);

/* The text of a member that is a string, else NULL. */
const char *json_get_str(const struct json *j, const char *name);

/* 1 and *out_r if j is an integer that fits, else 0. */
int json_int(const struct json *j, int64_t *out_r);
int json_get_int(const struct json *j, const char *name, int64_t *out_r);

/* 1 and *out_r if j is a finite number, else 0. */
int json_double(const struct json *j, double *out_r);

/* 1 if j, or the member, is true; 0 otherwise. */
int json_bool(const struct json *j);
int json_get_true(const struct json *j, const char *name);

/* Appends j, compact. */
void json_print(struct buf *b, const struct json *j);

/*
 * Writing: appends to a buffer. json_add_* put a comma first where one is
 * needed, a "name": where name is not NULL, and the value. Braces are the
 * caller's, by json_open and json_close.
 */
void json_open(struct buf *b, const char *name, char bracket);
void json_close(struct buf *b, char bracket);
void json_add_str(struct buf *b, const char *name, const char *value);
void json_add_strn(
    struct buf *b, const char *name, const char *value, size_t len);
void json_add_int(struct buf *b, const char *name, int64_t value);
/* v billionths, with nine places: what money is counted in. */
void json_add_billionths(struct buf *b, const char *name, int64_t v);
void json_add_bool(struct buf *b, const char *name, int value);
void json_add_null(struct buf *b, const char *name);
void json_add_json(struct buf *b, const char *name, const struct json *j);

/* raw is JSON already. */
void json_add_raw(struct buf *b, const char *name, const char *raw, size_t len);

/* Only the inside of a string: escaped, without quotes. */
void json_escape(struct buf *b, const char *s, size_t len);

/*
 * How many of the len bytes at s are whole UTF-8 characters from its start:
 * what may be shown of a text that is still arriving, or was cut.
 */
size_t json_utf8_whole(const char *s, size_t len);

/* Puts a ? in the place of every byte of a text that is no UTF-8: of foreign
 * bytes, or where a character was cut. */
void json_utf8_mend(char *s);

#endif
