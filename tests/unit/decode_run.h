/* SPDX-License-Identifier: MIT */
#ifndef DECODE_RUN_H
#define DECODE_RUN_H

#include <glob.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/decode.h"

struct arena;
struct json;

/* A stream through a decoder, for its tests. */
struct run {
	struct model_decode *d;
	struct model_result *r;
	struct buf text, thinking; /* what the sink got */
	struct buf doc;
	struct err err;
	int rc;
};

struct run_of {
	enum model_api api;
	unsigned quirks;
};

extern const struct model_bounds run_bounds;

void run_open(
    struct run *run, struct run_of of, const struct model_bounds *bounds);
void run_close(struct run *run);

/* Feeds it and finishes. step 0: pieces of 1 to 40 bytes by *seed. */
void run_stream(struct run *run, struct run_of of, const char *p, size_t len,
    size_t step, unsigned *seed);
void run_text(struct run *run, struct run_of of, const char *text);

/* The content must be what it says it is. */
const struct json *run_content(struct arena *a, const struct run *run);

int json_equal(const struct json *a, const struct json *b);

/* Files of the recordings, by a pattern below their folder; skips the test if
 * there are none. */
void glob_or_skip(const char *pattern, int flags, glob_t *g);
void file_read(struct buf *b, const char *path);

#endif
