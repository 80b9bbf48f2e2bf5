/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TEMPLATE_RETENTION_H
#define AGENT_TEMPLATE_RETENTION_H

struct agent_template;
struct conf;
struct err;
struct json;
struct store_rules;

/* The member retention of a template, or NULL; what it does not have stays 0
 * in out. 0, or -1 and ERR_CONFIG. */
int template_read_retention(
    const struct json *retention, struct store_rules *out, struct err *err);

/* What is kept of agents of a template, NULL if it is gone or there is none:
 * its own rules, else those of the configuration. */
void template_retention(const struct agent_template *t, const struct conf *c,
    struct store_rules *rules_r);

/* 1 if these drop nothing. */
int retains_all(const struct store_rules *r);

#endif
