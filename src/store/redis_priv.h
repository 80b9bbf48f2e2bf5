/* SPDX-License-Identifier: MIT */
#ifndef STORE_REDIS_PRIV_H
#define STORE_REDIS_PRIV_H

#include "store/redis.h"

struct conf;

/* Where Redis is and how to greet it; made from conf, wiped when freed. */
struct redis_target {
	int is_unix;
	char *host; /* or the path */
	int port;
	struct redis_pipe auth;  /* AUTH, if there is a password */
	struct redis_pipe hello; /* SELECT, SCRIPT LOAD of all */
};

void redis_target_init(struct redis_target *t, const struct conf *c);
void redis_target_fini(struct redis_target *t);

/* hiredis's reply as ours, copied into the arena. */
struct redisReply;
void redis_reply_copy(
    struct arena *a, struct redis_reply *out, const struct redisReply *r);

#endif
