/* SPDX-License-Identifier: MIT */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include <stdint.h>
#include <sys/types.h>

struct conf;
struct err;
struct pool;

/* A copy of the file that others will read, whatever happens to it: its
 * descriptor, the caller's; -1 and ERR_CONFIG. */
int reload_snapshot(const char *path, struct err *err);

/* SIGHUP, from the signal to the new workers. */
struct reload;

struct reload *reload_new(struct pool *p);
void reload_free(struct reload **r_p);

/*
 * Somebody wants the configuration to be read again. While a reload is under
 * way it is remembered, once: then it follows.
 */
void reload_ask(struct reload *r, int64_t now_ms);

/* A child died. 1 it was the one that checks, 0 not. */
int reload_reaped(struct reload *r, pid_t pid, int status, int64_t now_ms);

/* Goes on if something has come about. 1 when a reload is over by that. */
int reload_tick(struct reload *r, int64_t now_ms);

/* Milliseconds until something is due, -1 if nothing is. */
int64_t reload_next_due_ms(const struct reload *r, int64_t now_ms);

int reload_is_busy(const struct reload *r);

/* Forgets whatever is under way: the pool ends. */
void reload_cancel(struct reload *r);

#endif
