/* SPDX-License-Identifier: MIT */
#ifndef STORE_PORTABLE_PRIV_H
#define STORE_PORTABLE_PRIV_H

#include <uthash.h>

#include "base/id.h"
#include "store/portable.h"
#include "store/store_priv.h"

enum portable_kind { PORTABLE_HASH, PORTABLE_LIST, PORTABLE_SET };

/* A key of an agent: its name, what it is, and whether its values are JSON. */
struct portable_part {
	const char *name;
	enum portable_kind kind;
	int is_json;
};

/* All but the log, and the segments of the history; ends with NULL. purse is
 * that of the turn in info, and behind it. */
extern const struct portable_part portable_parts[];

#define PORTABLE_END "{\"part\":\"end\"}" /* the last line */

/* A segment that an agent refers to. */
struct import_segment {
	UT_hash_handle hh; /* by id */
	const char *id;
	int64_t needed; /* messages; INT64_MAX: all, it is the tail */
	int64_t count;  /* that its lines have brought */
};

struct store_import {
	struct store *st;
	struct arena *arena; /* of a batch */
	struct arena *line;
	struct arena *whole;
	struct redis_args batch;
	int commands;   /* in it */
	int64_t number; /* the batch's */
	char attempt[ID_SIZE];
	struct redis_args info, purse;
	struct import_segment *segments;
	char *user, *id, *base;
	int listed, has_owner, has_end, is_session;
	const char *tail, *turn, *created, *updated;
};

/* ERR_REQUEST, of a line. Returns -1. */
int import_bad_line(struct err *err, const char *why);

#endif
