/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_SESSION_RUN_H
#define TESTS_UNIT_SESSION_RUN_H

#include <stddef.h>

struct arena;
struct json;
struct transcript;

/*
 * What was recorded of sessions: tests/unit/session/NAME.json, made by
 * tests/lib/record_sessions.py. Fails the test if there is no such file.
 */
const struct json *session_load(struct arena *a, const char *name);

/* The members of one of its agents; NULL if it is not in it. */
const struct json *session_agent(const struct json *doc, const char *agent);

/* Elements as JSON texts; the arena's. */
const char **session_texts(
    struct arena *a, const struct json *list, size_t *count_r);

/* Its transcript with those of all sub-agents. */
struct transcript *session_transcript(struct arena *a, const struct json *doc);

#endif
