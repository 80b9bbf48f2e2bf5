/* SPDX-License-Identifier: MIT */
#ifndef API_TEMPLATES_H
#define API_TEMPLATES_H

#include <stddef.h>

#include "base/err.h"

/* Agent templates: files NAME.json of one folder, read once. */
struct templates;

struct agent_template {
	const char *name;
	const char *description;
	const char *prompt;
	const char *model;
};

/*
 * Reads dir; one that is missing holds none. NULL and ERR_CONFIG, with the
 * file's name, if a template is not valid.
 */
struct templates *templates_load(const char *dir, struct err *err);
void templates_free(struct templates **t_p);

/* NULL if there is none of that name. */
const struct agent_template *templates_find(
    const struct templates *t, const char *name);

/* The i-th by name, NULL behind the last. */
const struct agent_template *templates_at(const struct templates *t, size_t i);

#endif
