/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm-sandbox: has the workspaces of agents, and does in them what
 * workers ask for. It knows no secret and no Redis.
 */
#include "config.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "conf/conf.h"
#include "conf/program.h"
#include "sandboxd/jobs.h"
#include "sandboxd/network.h"
#include "sandboxd/server.h"

static const char usage_text[] =
    "usage: agent-fpm-sandbox [-c FILE] [-v]\n"
    "       agent-fpm-sandbox --listen FD -- PROGRAM [ARGUMENT...]\n"
    "\n"
    "  -c FILE      the configuration (default " CONF_DEFAULT_PATH ")\n"
    "  -v           print the version and exit\n"
    "  --listen FD  for launchers: make the network, and become PROGRAM\n"
    "\n"
    "It stays in the foreground; SIGTERM ends it. agent-fpm-sandbox(8) tells "
    "more.\n";

/* For itself, but for OPT_LISTEN, which launchers may use too. */
#define OPT_SUPERVISE 256
#define OPT_NETWORK 257
#define OPT_LISTEN 258

static const struct option options[] = {
	{ "supervise", required_argument, NULL, OPT_SUPERVISE },
	{ "network", no_argument, NULL, OPT_NETWORK },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ NULL, 0, NULL, 0 },
};

struct arguments {
	const char *path, *key;
	int has_network;
	int listen_over; /* -1: it is the server, or a supervisor */
};

/* The server, or for a key the supervisor of a job. */
static int
run(const struct conf *c, void *ctx, struct err *err)
{
	const struct arguments *args = ctx;

	if (args->key != NULL)
		return job_supervise(c, args->key, args->has_network);
	return server_run(c, args->path, -1, err);
}

/* A descriptor beyond the standard ones; -1: the text is none. */
static int
read_descriptor(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *text != '\0' && *end == '\0' && n > 2 && n < INT_MAX ? (int)n
								     : -1;
}

/* 0, or -1: that is not how it is used. */
static int
read_option(int opt, struct arguments *out)
{
	switch (opt) {
	case 'c':
		out->path = optarg;
		return 0;
	case OPT_SUPERVISE:
		out->key = optarg;
		return 0;
	case OPT_NETWORK:
		out->has_network = 1;
		return 0;
	case OPT_LISTEN:
		out->listen_over = read_descriptor(optarg);
		return out->listen_over < 0 ? -1 : 0;
	default:
		return -1;
	}
}

int
main(int argc, char **argv)
{
	struct arguments args = { .path = CONF_DEFAULT_PATH,
		.listen_over = -1 };
	const struct program sandbox = { "sandbox", run, &args };
	int opt, rc = 0;

	while (rc == 0 &&
	       (opt = getopt_long(argc, argv, "+c:v", options, NULL)) != -1) {
		if (opt == 'v')
			return program_version(&sandbox);
		rc = read_option(opt, &args);
	}
	/* --listen has a program behind it, the others have nothing. */
	if (rc < 0 || (args.listen_over >= 0) != (optind < argc)) {
		fputs(usage_text, stderr);
		return EX_USAGE;
	}
	return args.listen_over >= 0
		   ? network_exec(args.listen_over, argv + optind)
		   : program_run(&sandbox, args.path);
}
