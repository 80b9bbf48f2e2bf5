/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TEMPLATES_H
#define AGENT_TEMPLATES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mcp/mcp.h"
#include "store/budget.h"
#include "store/retain.h"
#include "tool/skills.h"
#include "tool/tool.h"

/*
 * Agent templates: files NAME.json of one folder, read once. A file is an
 * object with any of description, systemPrompt, model, models, tools,
 * permission, outputSchema, toolChoice, httpTools, mcp, hooks, skills, network,
 * budgets, onBudget and retention. Agents copy prompt, model, tools and
 * permission when they are made, so that changing a file changes no agent; what
 * an agent calls over HTTP, what it is taught, and what its commands reach,
 * stays the administrator's.
 */
struct skills;
struct templates;

/* Where the site's own code takes part in a turn. */
enum hook_kind { HOOK_PRE_TOOL, HOOK_POST_TOOL, HOOK_PRE_MODEL, HOOK_COUNT };

enum hook_failure { HOOK_DENIES, HOOK_ALLOWS, HOOK_ASKS };

struct hook {
	const char *url; /* NULL: there is none */
	int64_t timeout_ms;
	enum hook_failure on_failure; /* what counts when it does not answer */
};

struct agent_template {
	const char *name;
	const char *description;
	const char *prompt;
	const char *model;
	const struct json *models; /* others that may be chosen; NULL: any */
	const struct json *output; /* outputSchema and toolChoice, or NULL */
	const char *tools;      /* JSON array of names, httpTools too; or "" */
	const char *permission; /* JSON, or "" */
	const struct json *subagents; /* names of templates, or NULL */
	const struct json *network;   /* hosts for commands, or NULL: none */
	const struct tool *http_tools;
	size_t http_tool_count;
	const struct mcp_server *mcp_servers;
	size_t mcp_server_count;
	struct hook hooks[HOOK_COUNT];
	struct skill_list skills;
	struct budget_limits budgets;
	int on_budget;                /* enum budget_end; -1: as the pool's */
	struct store_rules retention; /* 0: as the configuration has it */
};

/*
 * Reads dir; one that is missing holds none. NULL and ERR_CONFIG, with the
 * file's name and the member, if a template is not valid. skills, those that
 * templates may name, must stay.
 */
struct templates *templates_load(
    const char *dir, const struct skills *skills, struct err *err);
void templates_free(struct templates **t_p);

/* NULL if there is none of that name. */
const struct agent_template *templates_find(
    const struct templates *t, const char *name);

/* The i-th by name, NULL behind the last. */
const struct agent_template *templates_at(const struct templates *t, size_t i);

/* 0, or -1 and ERR_CONFIG if one names a model that is not configured. */
struct conf;
int templates_check_models(
    const struct templates *t, const struct conf *c, struct err *err);

/*
 * The model that an agent of template t (or NULL) gets if the request says
 * name: 0, or -1 and ERR_INVALID with those that may be chosen.
 */
int template_allows_model(const struct agent_template *t, const struct conf *c,
    const char *name, struct err *err);

/* 1 if one of them has budgets. */
int templates_have_budgets(const struct templates *t);

/* 1 if one of them makes requests over HTTP. */
int templates_call_out(const struct templates *t);

#endif
