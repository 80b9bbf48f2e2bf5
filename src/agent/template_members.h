/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TEMPLATE_MEMBERS_H
#define AGENT_TEMPLATE_MEMBERS_H

#include <stdint.h>

#include "base/err.h"

struct json;

/* Reading the members of an object in a template. Each gives -1 and
 * ERR_CONFIG, with the member's name, for one that is not as it should be. */

/* 0, or -1 if j has a member that is not among the names, which NULL ends. */
int template_names(
    const struct json *j, const char *const *names, struct err *err);

/* 1 and the text, 0 and "" if there is none. */
int template_str(
    const struct json *j, const char *name, const char **out, struct err *err);

/* From 1 to max; *out stays if there is none. */
int template_int(const struct json *j, const char *name, int64_t max,
    int64_t *out, struct err *err);

/* The member url, which must be there. */
int template_url(const struct json *j, const char **out, struct err *err);

#endif
