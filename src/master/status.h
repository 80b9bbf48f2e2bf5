/* SPDX-License-Identifier: MIT */
#ifndef MASTER_STATUS_H
#define MASTER_STATUS_H

#include <stdint.h>

struct pool;

/* What the service manager is told of the pool: READY, RELOADING, STOPPING,
 * STATUS and WATCHDOG of sd_notify(3). */
struct status {
	int ready;     /* was said */
	int reloading; /* was said */
	int64_t next_ms;
	int64_t watchdog_ms; /* the next one */
	int64_t repeat_ms;   /* the text once more */
	char text[100];
};

/* Says what is new. At least every STATUS_EVERY_MS. */
void status_tick(
    struct status *s, struct pool *p, int reloading, int64_t now_ms);

/* A reload is asked for. */
void status_reloading(struct status *s);

/* The pool ends. */
void status_stopping(void);

#define STATUS_EVERY_MS 1000

#endif
