/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TEMPLATE_BUDGETS_H
#define AGENT_TEMPLATE_BUDGETS_H

#include "base/err.h"
#include "store/budget.h"

struct json;

/* The member budgets; j may be NULL. 0, or -1 and ERR_CONFIG. */
int template_read_budgets(
    const struct json *j, struct budget_limits *out, struct err *err);

#endif
