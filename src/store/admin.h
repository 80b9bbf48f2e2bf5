/* SPDX-License-Identifier: MIT */
#ifndef STORE_ADMIN_H
#define STORE_ADMIN_H

#include "store/store.h"

/*
 * What an administrator asks, who may know of everybody's agents: no route of
 * the API may use it. As in store.h, everything blocks for at most the store's
 * timeouts, and results are the arena's.
 */

/* Whose an agent is. 0, or -1 and ERR_NOT_FOUND. */
int store_agent_owner(struct store *st, struct arena *a, const char *id,
    const char **user_r, struct err *err);

#endif
