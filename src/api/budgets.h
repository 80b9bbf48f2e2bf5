/* SPDX-License-Identifier: MIT */
#ifndef API_BUDGETS_H
#define API_BUDGETS_H

#include "base/err.h"
#include "store/store.h"
#include "store/usage.h"

struct api_call;
struct buf;

/*
 * The member budgets: of each budget that is set its limit, and where that is
 * one number what was spent of it, what remains, and when it begins anew.
 */

/* Those of a user, or of a tenant, with what was spent by today and month. */
void budgets_of_account(const struct api_call *c, struct buf *b,
    const struct store_account *who, const struct store_used *today,
    const struct store_used *month);

/* Those of an agent and of the turn that it is at. Blocks for the store. 0 or
 * -1. */
int budgets_of_agent(struct api_call *c, struct buf *b,
    const struct store_agent *ag, struct err *err);

#endif
