/* SPDX-License-Identifier: MIT */
/* The member budgets of a template: limits that are lower than the pool's. */
#include "config.h"

#include <math.h>

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

int
template_read_budgets(
    const struct json *j, struct budget_limits *out, struct err *err)
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
