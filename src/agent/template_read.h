/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TEMPLATE_READ_H
#define AGENT_TEMPLATE_READ_H

#include "agent/templates.h"

struct arena;
struct json;
struct skills;

/*
 * Fills out, its name apart, from a template's document. The arena's, as must
 * be j; of skills, those that there are, its list points to some. 0, or -1 and
 * ERR_CONFIG with the member that is wrong.
 */
int template_read(struct arena *a, const struct json *j,
    const struct skills *skills, struct agent_template *out, struct err *err);

#endif
