/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TEMPLATE_BUDGETS_H
#define AGENT_TEMPLATE_BUDGETS_H

#include "base/err.h"
#include "store/budget.h"

struct json;

/* The members budgets and onBudget of a template, whose end is -1 without. 0,
 * or -1 and ERR_CONFIG. */
int template_read_budgets(const struct json *template,
    struct budget_limits *out, int *end_r, struct err *err);

#endif
