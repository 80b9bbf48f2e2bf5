/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm-proxy: the network of commands whose template has one. It knows
 * no secret and no file of an agent; which host a command may reach it is
 * told by agent-fpm-sandbox, which has no network.
 */
#include "config.h"

#include <stddef.h>

#include "conf/program.h"
#include "proxyd/server.h"

static int
run(const struct conf *c, void *ctx, struct err *err)
{
	(void)ctx;
	return proxy_run(c, err);
}

int
main(int argc, char **argv)
{
	static const struct program proxy = { "proxy", run, NULL };

	return program_main(&proxy, argc, argv);
}
