/* SPDX-License-Identifier: MIT */
/*
 * How the companions of agent-fpm begin: the same arguments, the same
 * configuration, the same exit statuses, so that who knows one knows all.
 */
#include "config.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/program.h"

static int
usage(const struct program *p)
{
	fprintf(stderr,
	    "usage: agent-fpm-%s [-c FILE] [-v]\n"
	    "\n"
	    "  -c FILE  the configuration (default " CONF_DEFAULT_PATH ")\n"
	    "  -v       print the version and exit\n"
	    "\n"
	    "It stays in the foreground; SIGTERM ends it. agent-fpm-%s(8) "
	    "tells more.\n",
	    p->name, p->name);
	return EX_USAGE;
}

int
program_version(const struct program *p)
{
	printf("agent-fpm-%s " PACKAGE_VERSION "\n", p->name);
	return EX_OK;
}

int
program_run(const struct program *p, const char *path)
{
	char name[40];
	struct conf *c;
	struct err err;
	int rc;

	snprintf(name, sizeof(name), "agent-fpm-%s", p->name);
	c = conf_load_for(name, path, -1);
	if (c == NULL)
		return EX_CONFIG;
	log_name_set(p->name);
	prctl(PR_SET_DUMPABLE, 0); /* no core with what it was told */
	rc = p->run(c, p->ctx, &err);
	if (rc < 0) {
		fprintf(stderr, "%s: %s: %s\n", name, path, err.text);
		rc = err_info(err.code)->exit_code;
	}
	conf_free(&c);
	return rc;
}

int
program_main(const struct program *p, int argc, char **argv)
{
	const char *path = CONF_DEFAULT_PATH;
	int opt;

	while ((opt = getopt(argc, argv, "c:v")) != -1) {
		if (opt == 'v')
			return program_version(p);
		if (opt != 'c')
			return usage(p);
		path = optarg;
	}
	return optind == argc ? program_run(p, path) : usage(p);
}
