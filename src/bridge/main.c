/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm-bridge: the gateway for front ends that speak Socket.IO or
 * AgentBridge. It knows no key and verifies no token: the pool does.
 */
#include "config.h"

#include <stddef.h>

#include "bridge/gateway.h"
#include "conf/program.h"

static int
run(const struct conf *c, void *ctx, struct err *err)
{
	(void)ctx;
	return gateway_run(c, err);
}

int
main(int argc, char **argv)
{
	static const struct program bridge = { "bridge", run, NULL };

	return program_main(&bridge, argc, argv);
}
