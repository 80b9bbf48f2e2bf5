/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_FIGURES_H
#define BRIDGE_FIGURES_H

#include <stdint.h>

struct conf;
struct err;
struct loop;
struct web_request;

/*
 * What a gateway counts, and who may see it: /bridge/metrics for Prometheus,
 * /bridge/status for people. Those of this process alone, for the loop's
 * thread.
 */
enum figure {
	FIGURE_CONNECTIONS, /* counters */
	FIGURE_REFUSED,
	FIGURE_DROPPED,
	FIGURE_RECEIVED,
	FIGURE_FED,
	FIGURE_SENT,
	FIGURE_SENT_BYTES,
	FIGURE_COMMANDS_SENT,
	FIGURE_COMMANDS_ANSWERED, /* how they ended */
	FIGURE_COMMANDS_FAILED,
	FIGURE_COMMANDS_TIMEOUT,
	FIGURE_COMMANDS_LOST,
	FIGURE_COMMANDS_REFUSED,
	FIGURE_COMMANDS_CANCELLED,
	FIGURE_COMMANDS_PENDING, /* gauges */
	FIGURE_PAGES_B1,
	FIGURE_PAGES_B2,
	FIGURE_SOCKETS,
	FIGURE_USERS,
	FIGURE_ROOMS,
	FIGURE_SEATS,
	FIGURE_REDIS_UP,
	FIGURES
};

void figure_add(enum figure f, int64_t n);
void figure_set(enum figure f, int64_t n);

/*
 * Answers both, and tells the service manager once a second: how many there
 * are, and that the loop goes round. NULL and ERR_CONFIG: status.allow is no
 * list of networks.
 */
struct figures;

struct figures *figures_new(
    struct loop *l, const struct conf *c, struct err *err);
void figures_free(struct figures **g_p);

/* 1 if the request was for one of them: it is answered. */
int figures_request(struct figures *g, const struct web_request *rq);

#endif
