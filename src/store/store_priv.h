/* SPDX-License-Identifier: MIT */
#ifndef STORE_STORE_PRIV_H
#define STORE_STORE_PRIV_H

#include "store/redis.h"
#include "store/store.h"

struct store {
	const struct conf *conf;
	struct redis_pool *pool;
	char holder[160];
};

/* A user's name as part of a key: what could be mistaken is %-escaped. */
const char *store_user_part(struct arena *a, const char *user);

int store_forbidden(struct err *err);

#endif
