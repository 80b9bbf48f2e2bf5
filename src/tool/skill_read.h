/* SPDX-License-Identifier: MIT */
#ifndef TOOL_SKILL_READ_H
#define TOOL_SKILL_READ_H

#include <stddef.h>

#define SKILL_NAME_MAX 64
#define SKILL_DESCRIPTION_MAX 1024 /* characters */

struct arena;
struct err;
struct skill;

/* The library behind it and its version, as loaded; static. */
const char *skill_library(void);

/* 0, or -1 and ERR_CONFIG: what a skill may be called. */
int skill_name_check(const char *name, struct err *err);

/*
 * Fills name and description of out from the front matter of a SKILL.md, and
 * text; the arena's. 0, or -1 and ERR_CONFIG with what is wrong, and in
 * *line_r its line, from 1. Pure.
 */
int skill_read(struct arena *a, const char *text, size_t len, struct skill *out,
    int *line_r, struct err *err);

#endif
