/* SPDX-License-Identifier: MIT */
#ifndef STORE_PORTABLE_PRIV_H
#define STORE_PORTABLE_PRIV_H

#include "store/portable.h"
#include "store/store_priv.h"

enum portable_kind { PORTABLE_HASH, PORTABLE_LIST, PORTABLE_SET };

/* A key of an agent: its name, what it is, and whether its values are JSON. */
struct portable_part {
	const char *name;
	enum portable_kind kind;
	int is_json;
};

/* All but the log, and the segments of the history; ends with NULL. info is
 * the last, as an agent is there when that is. */
extern const struct portable_part portable_parts[];

#endif
