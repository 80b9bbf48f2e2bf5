/* SPDX-License-Identifier: MIT */
#ifndef SANDBOX_STOP_JOBS_H
#define SANDBOX_STOP_JOBS_H

struct arena;
struct err;
struct sandbox;

/*
 * Ends all background jobs of a workspace; fine if there is no workspace, or no
 * sandbox (s NULL). For any thread but the loop's, which it waits for. 0; -1
 * and err: a job may be left to run.
 */
int sandbox_stop_jobs(struct sandbox *s, struct arena *a, const char *user,
    const char *agent, struct err *err);

#endif
