/* SPDX-License-Identifier: MIT */
/* The member budgets of answers. */
#include "config.h"

#include <string.h>

#include "agent/templates.h"
#include "api/api_priv.h"
#include "api/budgets.h"
#include "base/clk.h"
#include "store/budget.h"

/* One of them; used: what was spent of it, -1 if that is not one number. */
static void
add_budget(struct buf *b, const struct budget_info *info, int kind,
    int64_t limit, int64_t used)
{
	int64_t resets_s = budget_resets_s(info->period, clk_shared_ms());

	json_open(b, strchr(info->setting[kind], '.') + 1, '{');
	budget_add(b, "limit", kind, limit);
	if (used >= 0) {
		budget_add(b, "used", kind, used);
		budget_add(
		    b, "remaining", kind, used < limit ? limit - used : 0);
	}
	if (resets_s > 0)
		json_add_int(b, "resets", resets_s);
	else
		json_add_null(b, "resets");
	json_close(b, '}');
}

void
budgets_of_account(const struct api_call *c, struct buf *b,
    const struct store_account *who, const struct store_used *today,
    const struct store_used *month)
{
	const struct store_used *of[] = {
		[BUDGET_DAY] = today, [BUDGET_MONTH] = month
	};
	struct budget_limits l;

	budget_limits_of(c->app->conf, &l);
	json_open(b, "budgets", '{');
	for (int i = 0; i < BUDGET_SCOPES; i++) {
		const struct budget_info *info = &budget_infos[i];

		for (int k = 0; k < BUDGET_KINDS; k++)
			if (l.most[i][k] > 0 &&
			    info->is_tenant == who->is_tenant)
				add_budget(b, info, k, l.most[i][k],
				    info->period == BUDGET_EVER
					? -1
					: of[info->period]->spent[k]);
	}
	json_close(b, '}');
}

/* Those of the configuration, and of the agent's template. */
static void
limits_of(const struct api_call *c, const struct store_agent *ag,
    struct budget_limits *l)
{
	const struct agent_template *t =
	    templates_find(c->app->templates, ag->template);

	budget_limits_of(c->app->conf, l);
	if (t != NULL)
		budget_lower(l, &t->budgets);
}

int
budgets_of_agent(struct api_call *c, struct buf *b,
    const struct store_agent *ag, struct err *err)
{
	struct budget_limits l;
	int64_t used[2][BUDGET_KINDS];

	if (store_agent_spent(c->app->store, c->arena, ag, used, err) < 0)
		return -1;
	limits_of(c, ag, &l);
	json_open(b, "budgets", '{');
	for (int k = 0; k < BUDGET_KINDS; k++) {
		if (l.most[BUDGET_AGENT][k] > 0)
			add_budget(b, &budget_infos[BUDGET_AGENT], k,
			    l.most[BUDGET_AGENT][k], used[BUDGET_AGENT][k]);
		if (l.most[BUDGET_TURN][k] > 0)
			add_budget(b, &budget_infos[BUDGET_TURN], k,
			    l.most[BUDGET_TURN][k], used[BUDGET_TURN][k]);
	}
	json_close(b, '}');
	return 0;
}
