/* SPDX-License-Identifier: MIT */
#ifndef MODEL_BREAKER_H
#define MODEL_BREAKER_H

#include <stdint.h>

#include "model/failure.h"

struct board_endpoint;
struct conf_model;

/*
 * A circuit breaker: an endpoint that failed so often in a row is not asked
 * for a while, by no worker of the pool; then one call finds out whether it is
 * back. Any thread; e NULL: there is none, and all calls go through.
 */

/* 1 if a call may be made at that monotonic time, 2 if it is the one that finds
 * out. 0: not for *wait_ms_r. */
int breaker_admits(struct board_endpoint *e, const struct conf_model *c,
    int64_t now_ms, int64_t *wait_ms_r);

/* What came of a call that was admitted so. MODEL_CLASS_NONE: an answer. */
void breaker_note(struct board_endpoint *e, const struct conf_model *c,
    int admitted, enum model_class kind, int64_t now_ms);

#endif
