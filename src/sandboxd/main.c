/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm-sandbox: has the workspaces of agents, and does in them what
 * workers ask for. It knows no secret and no Redis.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "sandboxd/jobs.h"
#include "sandboxd/server.h"

static const char usage_text[] =
    "usage: agent-fpm-sandbox [-c FILE] [-v]\n"
    "\n"
    "  -c FILE  the configuration (default " CONF_DEFAULT_PATH ")\n"
    "  -v       print the version and exit\n"
    "\n"
    "It stays in the foreground; SIGTERM ends it. agent-fpm-sandbox(8) tells "
    "more.\n";

/* The server, or for a key the supervisor of a job. */
static int
run(const char *path, const char *key)
{
	struct buf problems;
	struct err err;
	struct conf *c;
	int rc = EX_OK;

	buf_init(&problems, NULL);
	c = conf_load(path, -1, &problems, &err);
	if (c == NULL) {
		fprintf(stderr, "%sagent-fpm-sandbox: %s\n", buf_str(&problems),
		    err.text);
		buf_fini(&problems);
		return EX_CONFIG;
	}
	buf_fini(&problems);
	log_level_set((enum log_level)c->log_level);
	log_name_set("sandbox");
	prctl(PR_SET_DUMPABLE, 0);
	if (key != NULL) {
		rc = job_supervise(c, key);
	} else if (server_run(c, path, -1, &err) < 0) {
		fprintf(stderr, "agent-fpm-sandbox: %s: %s\n", path, err.text);
		rc = err_info(err.code)->exit_code;
	}
	conf_free(&c);
	return rc;
}

/* For itself: not in the manual. */
#define OPT_SUPERVISE 256

static const struct option options[] = {
	{ "supervise", required_argument, NULL, OPT_SUPERVISE },
	{ NULL, 0, NULL, 0 },
};

int
main(int argc, char **argv)
{
	const char *path = CONF_DEFAULT_PATH;
	const char *key = NULL;
	int opt;

	while ((opt = getopt_long(argc, argv, "c:v", options, NULL)) != -1) {
		if (opt == OPT_SUPERVISE) {
			key = optarg;
			continue;
		}
		if (opt == 'v') {
			puts("agent-fpm-sandbox " PACKAGE_VERSION);
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
	return run(path, key);
}
