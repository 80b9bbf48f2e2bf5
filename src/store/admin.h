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

/* What a step of a walk over all keys has found of a user. */
struct store_erased {
	const char **agents; /* ids, of those that are his: still there */
	size_t agent_count;
	const char **imports; /* ids, of what imports have left that stopped */
	size_t import_count;
	size_t keys;        /* other keys that were removed */
	const char *cursor; /* for the next step; "0": this was the last */
};

/*
 * One step of erasing a user, from a cursor ("0" at first): removes the keys
 * that name him, or belong to no agent, and finds his agents, sub-agents too,
 * and what is left of some, for the caller to delete. When a whole walk has
 * found nothing, nothing is left but files, and the names of agents in what
 * store_retired_next gives. What says that his tokens are revoked is no key of
 * these, and stays.
 */
int store_erase_step(struct store *st, struct arena *a, const char *user,
    const char *cursor, struct store_erased *out, struct err *err);

#endif
