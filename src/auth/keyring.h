/* SPDX-License-Identifier: MIT */
#ifndef AUTH_KEYRING_H
#define AUTH_KEYRING_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct conf;
struct err;
struct fetcher;
struct identity;
struct json;
struct loop;
struct scoreboard;

/*
 * All that tokens are checked with: keys, which may change while the process
 * runs, and what their claims must say. Any thread, but for _new and _free.
 */
struct keyring;

/* Reads what the configuration names; c must outlive it. NULL and ERR_CONFIG:
 * something is wrong, or there is no key at all. */
struct keyring *keyring_new(const struct conf *c, struct err *err);
void keyring_free(struct keyring **r_p);

/*
 * From now on keys that issuers publish are fetched on the loop; before it
 * runs; with a board once for all workers of the pool, else board is NULL.
 * keyring_detach when it has stopped, before fetcher and loop are freed;
 * r may be NULL.
 */
void keyring_attach(struct keyring *r, struct loop *l, struct fetcher *f,
    struct scoreboard *board);
void keyring_detach(struct keyring *r);

/*
 * While the loop runs: waits until the keys of each issuer have been fetched
 * once, however that ended, ms at most for all of them. 0, or -1 and why one
 * has none.
 */
int keyring_wait(struct keyring *r, int ms, struct err *err);

/*
 * Fetches them once, for a program without a loop: blocks for seconds. 0, or
 * -1 and why one has failed.
 */
int keyring_fetch(struct keyring *r, struct err *err);

/* How many keys there are now; and how many API keys. */
size_t keyring_count(struct keyring *r);
size_t keyring_api_keys(const struct keyring *r);

/*
 * A number that grows whenever keys change: what was verified before, under a
 * smaller one, is worth nothing any more. At most once a second, of all
 * threads, it looks whether files of keys have changed and reads them; if
 * they are no good the old keys stay, and the log says why.
 */
uint64_t keyring_era(struct keyring *r);

/*
 * jwt_verify with these keys and this configuration. May wait a second for an
 * issuer's newest keys. -1 and ERR_OVERLOAD too: that issuer has none yet.
 * An API key will do as well: api_keys_verify; of it the claims are sub, jti,
 * and tenant and exp if it has them.
 */
int keyring_verify(struct keyring *r, struct arena *a, const char *token,
    size_t len, int64_t now_s, struct identity *out,
    const struct json **claims_r, struct err *err);

/* jwt_mint with the secret of jwt.secret_file. -1 and ERR_CONFIG too if there
 * is none. */
int keyring_mint(struct keyring *r, struct arena *a, const char *claims_json,
    char **token_r, struct err *err);

#endif
