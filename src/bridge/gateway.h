/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_GATEWAY_H
#define BRIDGE_GATEWAY_H

struct conf;
struct err;

/*
 * Serves browsers at bridge.listen until SIGTERM, SIGINT or SIGQUIT. 0, or -1
 * and err if it could not begin.
 */
int gateway_run(const struct conf *c, struct err *err);

#endif
