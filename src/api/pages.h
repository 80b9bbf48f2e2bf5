/* SPDX-License-Identifier: MIT */
#ifndef API_PAGES_H
#define API_PAGES_H

struct api_call;
struct err;

/*
 * AgentBridge over HTTP: what the caller's pages can do, and commands for them
 * (flag API_PAGE), with the bodies and status codes that its servers have.
 */

/* 1 if a path is theirs. */
int pages_path(const char *path);

/* Who asks: as on any route, unless bridge.auth needs no token. */
int api_authenticate_page(struct api_call *c, struct err *err);

/* The answer to a request that failed before its handler, or in it. */
void pages_problem(struct api_call *c, const struct err *err);

#endif
