/* SPDX-License-Identifier: MIT */
/* The member retention of templates: what the settings retention.* say. */
#include "config.h"

#include <stddef.h>

#include "agent/template_members.h"
#include "agent/template_retention.h"
#include "agent/templates.h"
#include "base/err.h"
#include "base/json.h"
#include "conf/conf.h"

#define MAX_S INT64_C(631152000) /* 20 years */
#define MAX_BYTES (INT64_C(1) << 50)

#define IN_RULES(m) offsetof(struct store_rules, m)
#define IN_CONF(m) offsetof(struct conf, m)

/* Ages are in seconds there, and in ms here. */
static const struct member {
	const char *name;
	size_t rule, setting;
	int64_t max;
	int unit;
} members[] = {
	{ "events", IN_RULES(events_ms), IN_CONF(retention_events_ms), MAX_S,
	    1000 },
	{ "eventsBytes", IN_RULES(events_bytes),
	    IN_CONF(retention_events_bytes), MAX_BYTES, 1 },
	{ "toolOutputs", IN_RULES(calls_ms), IN_CONF(retention_tool_outputs_ms),
	    MAX_S, 1000 },
	{ "toolOutputsBytes", IN_RULES(calls_bytes),
	    IN_CONF(retention_tool_outputs_bytes), MAX_BYTES, 1 },
	{ "windows", IN_RULES(windows), IN_CONF(retention_windows), 1000000,
	    1 },
	{ "agents", IN_RULES(agents_ms), IN_CONF(retention_agents_ms), MAX_S,
	    1000 },
	{ "files", IN_RULES(files_ms), IN_CONF(retention_files_ms), MAX_S,
	    1000 },
	{ "filesBytes", IN_RULES(files_bytes), IN_CONF(retention_files_bytes),
	    MAX_BYTES, 1 },
};

#define MEMBERS (sizeof(members) / sizeof(members[0]))

static int64_t *
number(void *rules, size_t at)
{
	return (int64_t *)((char *)rules + at);
}

static int64_t
value(const void *base, size_t at)
{
	return *(const int64_t *)((const char *)base + at);
}

int
template_read_retention(
    const struct json *j, struct store_rules *out, struct err *err)
{
	const char *names[MEMBERS + 1] = { NULL };
	int64_t *to;

	if (j == NULL)
		return 0;
	if (!json_is(j, JSON_OBJECT))
		return err_set(err, ERR_CONFIG, "retention is not an object");
	for (size_t i = 0; i < MEMBERS; i++)
		names[i] = members[i].name;
	if (template_names(j, names, err) < 0)
		return err_prefix(err, "retention");
	for (size_t i = 0; i < MEMBERS; i++) {
		to = number(out, members[i].rule);
		if (template_int(j, members[i].name, members[i].max, to, err) <
		    0)
			return err_prefix(err, "retention");
		*to *= members[i].unit;
	}
	return 0;
}

void
template_retention(const struct agent_template *t, const struct conf *c,
    struct store_rules *rules_r)
{
	int64_t *rule;

	*rules_r = t == NULL ? (struct store_rules){ 0 } : t->retention;
	for (size_t i = 0; i < MEMBERS; i++) {
		rule = number(rules_r, members[i].rule);
		if (*rule == 0)
			*rule = value(c, members[i].setting);
	}
}

int
retains_all(const struct store_rules *r)
{
	for (size_t i = 0; i < MEMBERS; i++)
		if (value(r, members[i].rule) > 0)
			return 0;
	return 1;
}
