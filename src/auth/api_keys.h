/* SPDX-License-Identifier: MIT */
#ifndef AUTH_API_KEYS_H
#define AUTH_API_KEYS_H

#include <stddef.h>
#include <stdint.h>

struct conf;
struct conf_api_key;
struct err;
struct identity;

/* What the sections [api_key NAME] let in. Any thread, but _new and _free. */
struct api_keys;

/* c must outlive it. NULL and ERR_CONFIG, with the section's name: one of them
 * is not good. */
struct api_keys *api_keys_new(const struct conf *c, struct err *err);
void api_keys_free(struct api_keys **k_p);

/* How many there are. */
size_t api_keys_count(const struct api_keys *k);

/*
 * 0 and *out if the key is that of its section and has not expired; jti is
 * api_key_jti, so that it can be revoked as a token is. -1: ERR_UNAUTHORIZED;
 * or ERR_LIMIT, as somebody tries wrong keys of that name: at most 3 a second
 * are hashed. Hashes for tens of ms, one key of a name at a time, and waits
 * for another thread that does.
 */
int api_keys_verify(struct api_keys *k, const char *key, size_t len,
    int64_t now_s, struct identity *out, struct err *err);

#define API_KEY_JTI_SIZE 96

/* How a key is called where a token has its jti: afk_NAME and a part of the
 * SHA-256 of its hash, so that another key of the name is another one. */
void api_key_jti(const struct conf_api_key *c, char out[API_KEY_JTI_SIZE]);

/*
 * A date of the configuration, 2026-11-21 or 2026-11-21T09:30:00Z, in seconds
 * since 1970. 0, or -1: it is none.
 */
int api_key_time(const char *text, int64_t *out_r);

#endif
