/* SPDX-License-Identifier: MIT */
/* Frames of the sandbox's protocol. */
#include "config.h"

#include <string.h>

#include "sandbox/frame.h"

static void
put32(unsigned char *p, size_t n)
{
	p[0] = (unsigned char)(n >> 24);
	p[1] = (unsigned char)(n >> 16);
	p[2] = (unsigned char)(n >> 8);
	p[3] = (unsigned char)n;
}

static size_t
get32(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 |
	       p[3];
}

void
frame_write(struct buf *b, const char *json, size_t json_len, const char *data,
    size_t data_len)
{
	unsigned char head[FRAME_HEAD_BYTES];

	put32(head, json_len);
	put32(head + 4, data_len);
	buf_reserve(b, sizeof(head) + json_len + data_len);
	buf_add(b, head, sizeof(head));
	buf_add(b, json, json_len);
	if (data_len > 0)
		buf_add(b, data, data_len);
}

int
frame_read(const char *p, size_t len, struct frame_view *out, struct err *err)
{
	if (len < FRAME_HEAD_BYTES)
		return 0;
	out->json_len = get32(p);
	out->data_len = get32(p + 4);
	if (out->json_len > FRAME_JSON_MAX || out->data_len > FRAME_DATA_MAX)
		return err_set(err, ERR_REQUEST, "a frame is too large");
	out->json = p + FRAME_HEAD_BYTES;
	out->data = out->json + out->json_len;
	out->size = FRAME_HEAD_BYTES + out->json_len + out->data_len;
	return len >= out->size;
}

static const struct {
	const char *word;
	enum err_code code;
} errors[] = {
	{ "invalid", ERR_INVALID },
	{ "not_found", ERR_NOT_FOUND },
	{ "conflict", ERR_CONFLICT },
	{ "precondition", ERR_PRECONDITION },
	{ "too_large", ERR_TOO_LARGE },
	{ "quota", ERR_LIMIT },
	{ "internal", ERR_INTERNAL },
};

#define ERRORS (sizeof(errors) / sizeof(errors[0]))

const char *
frame_error_word(enum err_code code)
{
	size_t i = 0;

	while (i < ERRORS - 1 && errors[i].code != code)
		i++;
	return errors[i].word;
}

enum err_code
frame_error_code(const char *word)
{
	size_t i = 0;

	while (i < ERRORS - 1 && strcmp(errors[i].word, word) != 0)
		i++;
	return errors[i].code;
}
