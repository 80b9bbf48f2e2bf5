/* SPDX-License-Identifier: MIT */
#ifndef SANDBOX_FRAME_H
#define SANDBOX_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * What workers and agent-fpm-sandbox say to each other: frames of a JSON
 * object and bytes that go with it, each after its length as 32 bits, the
 * most significant first. docs/sandbox.md has the operations.
 */
#define FRAME_MEDIA_TYPE "application/vnd.agent-fpm.frames"
#define FRAME_HEAD_BYTES 8
#define FRAME_JSON_MAX (8u << 20)
#define FRAME_DATA_MAX (64u << 20)
#define FRAME_MAX (FRAME_HEAD_BYTES + FRAME_JSON_MAX + FRAME_DATA_MAX)

struct frame_view {
	const char *json;
	size_t json_len;
	const char *data;
	size_t data_len;
	size_t size; /* of it all */
};

/* Appends a frame; data may be NULL if there is none. */
void frame_write(struct buf *b, const char *json, size_t json_len,
    const char *data, size_t data_len);

/*
 * The frame that the len bytes at p begin with, in place. 1, 0 if it is not
 * whole yet, -1 and ERR_REQUEST if it is larger than it may be.
 */
int frame_read(
    const char *p, size_t len, struct frame_view *out, struct err *err);

/* How an error stands in an answer, as "code". */
const char *frame_error_word(enum err_code code);
enum err_code frame_error_code(const char *word);

#endif
