/* SPDX-License-Identifier: MIT */
#ifndef PROXYD_SERVER_H
#define PROXYD_SERVER_H

struct conf;
struct err;

/*
 * Serves agent-fpm-sandbox at sandbox.proxy until SIGTERM, SIGINT or SIGQUIT.
 * 0, or -1 and err if it could not begin.
 */
int proxy_run(const struct conf *c, struct err *err);

#endif
