/* SPDX-License-Identifier: MIT */
#ifndef AUTH_JWKS_SOURCE_H
#define AUTH_JWKS_SOURCE_H

#include <stddef.h>

struct conf_issuer;
struct err;
struct fetcher;
struct jwks;
struct loop;
struct notice;

/*
 * The keys of an issuer that publishes them, fetched on the loop: at once,
 * before they grow old, and when somebody asks. Everything but
 * jwks_source_ask is for the thread that makes it, before the loop runs and
 * after it has stopped.
 */
struct jwks_source;

/*
 * notice is where the processes of a pool tell each other of the keys, so that
 * one of them fetches for all; NULL: this one is alone. on_keys is called on
 * the loop's thread for each fetch: with the keys, which it takes out of the
 * set; with NULL where they are those of the last time; and with gone 1 when
 * they have become too old to be used.
 */
struct jwks_source *jwks_source_new(struct loop *l, struct fetcher *f,
    const struct conf_issuer *conf, struct notice *notice,
    void (*on_keys)(void *ctx, struct jwks *keys, int gone), void *ctx);
void jwks_source_free(struct jwks_source **s_p);

/*
 * A key is missing. Fetches, unless a process of the pool did so within the
 * last minute, and waits a second at most, if not too many do so already. 1
 * there may be other keys now, 0 nothing has changed. Any thread but the
 * loop's.
 */
int jwks_source_ask(struct jwks_source *s);

/* Waits for the first fetch, however it ends, ms at most. Any thread but the
 * loop's. 0, or -1 and why there are no keys. */
int jwks_source_wait(struct jwks_source *s, int ms, struct err *err);

/* 0 if keys may be fetched from there: https, or http on this host. */
int jwks_url_check(const char *url, struct err *err);

#endif
