/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm-bridge: the gateway for front ends that speak Socket.IO or
 * AgentBridge. It knows no key and verifies no token: the pool does.
 */
#include "config.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "bridge/gateway.h"
#include "conf/conf.h"

static const char usage_text[] =
    "usage: agent-fpm-bridge [-c FILE] [-v]\n"
    "\n"
    "  -c FILE  the configuration (default " CONF_DEFAULT_PATH ")\n"
    "  -v       print the version and exit\n"
    "\n"
    "It stays in the foreground; SIGTERM ends it. agent-fpm-bridge(8) tells "
    "more.\n";

static int
run(const char *path)
{
	struct conf *c = conf_load_for("agent-fpm-bridge", path, -1);
	struct err err;
	int rc = EX_OK;

	if (c == NULL)
		return EX_CONFIG;
	log_name_set("bridge");
	prctl(PR_SET_DUMPABLE, 0);
	if (gateway_run(c, &err) < 0) {
		fprintf(stderr, "agent-fpm-bridge: %s: %s\n", path, err.text);
		rc = err_info(err.code)->exit_code;
	}
	conf_free(&c);
	return rc;
}

int
main(int argc, char **argv)
{
	const char *path = CONF_DEFAULT_PATH;
	int opt;

	while ((opt = getopt(argc, argv, "c:v")) != -1) {
		if (opt == 'v') {
			puts("agent-fpm-bridge " PACKAGE_VERSION);
			return EX_OK;
		}
		if (opt != 'c') {
			fputs(usage_text, stderr);
			return EX_USAGE;
		}
		path = optarg;
	}
	if (optind != argc) {
		fputs(usage_text, stderr);
		return EX_USAGE;
	}
	return run(path);
}
