/* SPDX-License-Identifier: MIT */
/* The members budgets and onBudget of a template: limits that are lower than
 * the pool's, and what is done at them. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "agent/template_budgets.h"
#include "agent/template_members.h"
#include "base/json.h"

#define TOKENS_MAX (1000 * INT64_C(1000000000000))
#define COST_MAX 1000000 /* as settings have it */
#define BILLION 1000000000

static int
read_cost(const struct json *j, const char *name, int64_t *out, struct err *err)
{
	const struct json *m = json_get(j, name);
	double v;

	if (m == NULL)
		return 0;
	if (!json_double(m, &v) || v < 0.000001 || v > COST_MAX)
		return err_set(err, ERR_CONFIG,
		    "budgets: %s is a number from 0.000001 to %d", name,
		    COST_MAX);
	*out = llround(v * BILLION);
	return 0;
}

static int
read_limits(const struct json *j, struct budget_limits *out, struct err *err)
{
	const char *names[BUDGET_SCOPES * BUDGET_KINDS + 1] = { NULL };

	if (j == NULL)
		return 0;
	for (int i = 0; i < BUDGET_SCOPES; i++)
		for (int k = 0; k < BUDGET_KINDS; k++)
			names[i * BUDGET_KINDS + k] = budget_infos[i].member[k];
	if (template_names(j, names, err) < 0)
		return err_prefix(err, "budgets");
	for (int i = 0; i < BUDGET_SCOPES; i++) {
		const struct budget_info *info = &budget_infos[i];

		if (template_int(j, info->member[BUDGET_TOKENS], TOKENS_MAX,
			&out->most[i][BUDGET_TOKENS], err) < 0)
			return err_prefix(err, "budgets");
		if (read_cost(j, info->member[BUDGET_COST],
			&out->most[i][BUDGET_COST], err) < 0)
			return -1;
	}
	return 0;
}

int
template_read_budgets(const struct json *template, struct budget_limits *out,
    int *end_r, struct err *err)
{
	const char *end;
	int rc = template_str(template, "onBudget", &end, err);

	*end_r = -1;
	if (rc < 0)
		return -1;
	if (strcmp(end, "ask") == 0)
		*end_r = BUDGET_ASKS;
	else if (strcmp(end, "stop") == 0)
		*end_r = BUDGET_STOPS;
	else if (rc > 0)
		return err_set(err, ERR_CONFIG, "onBudget is stop or ask");
	return read_limits(json_get(template, "budgets"), out, err);
}
