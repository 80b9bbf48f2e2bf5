/* SPDX-License-Identifier: MIT */
/*
 * Revoked tokens: see revoked.h.
 *
 *   af:revoked:jti:SHA256    "1"
 *   af:revoked:user:SHA256   the time, in seconds since 1970
 *   af:revocations           what was said on af:ctl, by its time: a zset
 *
 * All expire. The first two are asked for when a token is verified, which is
 * once a minute for a token in use: the answer is remembered with the identity.
 * Who revokes says so on the channel af:ctl, to which each worker listens, and
 * then nothing is remembered any more; the key is written before, so whoever
 * asks after that finds it. A worker that did not listen reads in the zset,
 * which goes back for a day, whose streams it has to end (live.c).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/sha256.h"
#include "store/revoked.h"
#include "store/store_priv.h"

static char *
key_of(
    const struct store *st, struct arena *a, const char *what, const char *name)
{
	return store_key(st, a, "revoked:%s:%s", what, store_hash(a, name));
}

void
revoked_hash(const char *name, char out[REVOKED_HASH_SIZE])
{
	char all[SHA256_HEX_SIZE];

	sha256_hex(name, strlen(name), all);
	memcpy(out, all, REVOKED_HASH_SIZE - 1);
	out[REVOKED_HASH_SIZE - 1] = '\0';
}

int
revoked_find(struct store *st, struct arena *a, const char *user,
    const char *jti, int64_t issued_s, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "GET", key_of(st, a, "user", user), NULL);
	if (*jti != '\0')
		redis_cmd(&p, "GET", key_of(st, a, "jti", jti), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (r[0].type == REDIS_TEXT &&
	    issued_s <= strtoll(redis_text(&r[0]), NULL, 10))
		return 1;
	return *jti != '\0' && r[1].type == REDIS_TEXT;
}

/* For those who do not listen now. */
static void
remember(
    const struct store *st, struct arena *a, struct redis_pipe *p, char *said)
{
	const char *key = store_key(st, a, STORE_REVOCATIONS);
	long long now_s = clk_wall_ms() / 1000;

	redis_cmd(p, "ZADD", key, arena_printf(a, "%lld", now_s), said, NULL);
	redis_cmd(p, "ZREMRANGEBYSCORE", key, "-inf",
	    arena_printf(a, "(%lld", now_s - STORE_REVOCATIONS_S), NULL);
	redis_cmd(
	    p, "EXPIRE", key, arena_printf(a, "%d", STORE_REVOCATIONS_S), NULL);
}

static int
add(struct store *st, struct arena *a, const char *what, const char *name,
    const char *value, int64_t keep_s, struct err *err)
{
	const struct redis_reply *r;
	char hash[REVOKED_HASH_SIZE], *said;
	struct redis_pipe p;

	revoked_hash(name, hash);
	said = arena_printf(
	    a, "%s %s", strcmp(what, "jti") == 0 ? "token" : "user", hash);
	redis_pipe_init(&p, a);
	redis_cmd(&p, "SET", key_of(st, a, what, name), value, "EX",
	    arena_printf(a, "%lld", (long long)keep_s), NULL);
	remember(st, a, &p, said);
	redis_cmd(&p, "PUBLISH", store_key(st, a, "ctl"),
	    arena_printf(a, "revoked %s", said), NULL);
	return redis_call(st->pool, a, &p, &r, err);
}

int
revoked_add_token(struct store *st, struct arena *a, const char *jti,
    int64_t keep_s, struct err *err)
{
	return add(st, a, "jti", jti, "1", keep_s, err);
}

int
revoked_add_user(struct store *st, struct arena *a, const char *user,
    int64_t now_s, int64_t keep_s, struct err *err)
{
	return add(st, a, "user", user,
	    arena_printf(a, "%lld", (long long)now_s), keep_s, err);
}
