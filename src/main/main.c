/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm: options and commands. What runs for long is src/master and
 * src/worker; this is the same program for both.
 */
#include "config.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/process.h"
#include "conf/conf.h"
#include "ctl/ctl.h"
#include "doctor/doctor.h"
#include "doctor/parts.h"
#include "main/apikey_command.h"
#include "main/audit_command.h"
#include "main/decode_command.h"
#include "main/mcp_command.h"
#include "main/models_command.h"
#include "main/token.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/reload.h"
#include "worker/worker.h"

static const char usage_text[] =
    "usage: agent-fpm [-c FILE] [-t] [-v] [-F]\n"
    "       agent-fpm [-c FILE] token --sub NAME [--ttl 1h] [--claim K=V]\n"
    "       agent-fpm [-c FILE] token verify [--now SECONDS] -\n"
    "       agent-fpm [-c FILE] token revoke --jti ID | --user NAME\n"
    "       agent-fpm [-c FILE] apikey new NAME --user USER [--scope S] "
    "[--expires 90d]\n"
    "       agent-fpm [-c FILE] apikey list | revoke NAME\n"
    "       agent-fpm [-c FILE] audit verify [FILE]\n"
    "       agent-fpm [-c FILE] mcp TEMPLATE SERVER [TOOL [ARGUMENTS]]\n"
    "       agent-fpm [-c FILE] mcp --url URL [TOOL [ARGUMENTS]]\n"
    "       agent-fpm [-c FILE] models [--check]\n"
    "       agent-fpm [-c FILE] doctor [--url URL --token TOKEN [--ca FILE] "
    "[--chat]]\n"
    "       agent-fpm [-c FILE] ctl [--json] status | turns | drain | undrain\n"
    "       agent-fpm [-c FILE] ctl [--json] kick TURN | AGENT\n"
    "       agent-fpm [-c FILE] ctl [--json] agents | delete-user USER\n"
    "       agent-fpm [-c FILE] ctl [--json] export USER FOLDER\n"
    "       agent-fpm [-c FILE] ctl [--json] import FOLDER\n"
    "       agent-fpm decode --api API [--provider NAME] FILE\n"
    "       agent-fpm --settings man|sample\n"
    "\n"
    "  -c FILE  the configuration (default " CONF_DEFAULT_PATH ")\n"
    "  -t       check the configuration and exit\n"
    "  -v       print the version and exit\n"
    "  -F       stay in the foreground\n"
    "\n"
    "agent-fpm(8) tells more.\n";

static int
usage_error(void)
{
	fputs(usage_text, stderr);
	return EX_USAGE;
}

static int
command_test(const char *path)
{
	struct conf *c = conf_load_for("agent-fpm", path, -1);
	struct err err;
	int rc = EX_OK;

	if (c == NULL)
		return EX_CONFIG;
	if (parts_check(c, &err) < 0) {
		fprintf(stderr, "%s: %s\n", path, err.text);
		rc = EX_CONFIG;
	} else {
		printf("%s: the configuration is good\n", path);
	}
	conf_free(&c);
	return rc;
}

static int
command_settings(const char *form)
{
	struct buf out;

	buf_init(&out, NULL);
	if (strcmp(form, "man") == 0)
		conf_print_man(&out);
	else if (strcmp(form, "sample") == 0)
		conf_print_sample(&out);
	else
		return usage_error();
	fputs(out.data, stdout);
	buf_fini(&out);
	return EX_OK;
}

/* What an administrator should not forget to have configured. */
static void
warn(const struct conf *c)
{
	if (c->bridge_auth != CONF_BRIDGE_REQUIRED)
		log_warn("bridge.auth is %s: sessions can be used without a "
			 "token, as the user %s",
		    c->bridge_auth == CONF_BRIDGE_OFF ? "off" : "optional",
		    c->bridge_anonymous_user);
}

static int
command_run(const char *path, int foreground)
{
	struct conf *c = conf_load_for("agent-fpm", path, -1);
	struct err err;
	int conf_fd, ready_fd = -1;

	if (c == NULL)
		return EX_CONFIG;
	if (parts_check(c, &err) < 0) {
		fprintf(stderr, "agent-fpm: %s: %s\n", path, err.text);
		conf_free(&c);
		return EX_CONFIG;
	}
	conf_fd = reload_snapshot(path, &err);
	if (conf_fd < 0) {
		fprintf(stderr, "agent-fpm: %s\n", err.text);
		conf_free(&c);
		return EX_OSERR;
	}
	if (!foreground)
		ready_fd = process_detach();
	if (log_file_set(c->log_file, &err) < 0) {
		fprintf(stderr, "agent-fpm: %s\n", err.text);
		close(conf_fd);
		conf_free(&c);
		return EX_CONFIG;
	}
	warn(c);
	return master_run(c, conf_fd, ready_fd);
}

/* --successor FILE SOCKET CTL: how a master starts the one after it; an
 * older one gives no CTL. */
static int
command_successor(int argc, char **argv)
{
	struct conf *c;
	struct err err;
	int conf_fd;

	if (argc != 4 && argc != 5)
		return usage_error();
	c = conf_load_for("agent-fpm", argv[2], -1);
	if (c == NULL)
		return EX_CONFIG;
	log_name_set("master");
	conf_fd = -1;
	if (parts_check(c, &err) < 0 || log_file_set(c->log_file, &err) < 0 ||
	    (conf_fd = reload_snapshot(argv[2], &err)) < 0) {
		log_error("%s: %s", argv[2], err.text);
		conf_free(&c);
		return EX_CONFIG;
	}
	warn(c);
	return master_succeed(c, conf_fd, argv[3], argc == 5 ? argv[4] : "");
}

/* --check FILE: how the master looks at a configuration, in descriptor 3. */
static int
command_check(int argc, char **argv)
{
	struct buf problems;
	struct conf *c;
	struct err err;
	const char *line;
	char *rest;
	int rc;

	if (argc != 3)
		return usage_error();
	log_name_set("check");
	buf_init(&problems, NULL);
	c = conf_load(argv[2], WORKER_FD_LISTEN, &problems, &err);
	rc = c == NULL ? EX_CONFIG : EX_OK;
	rest = problems.data;
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0')
		log_error("%s", line);
	if (c != NULL &&
	    (parts_check(c, &err) < 0 || log_file_set(c->log_file, &err) < 0)) {
		log_error("%s: %s", argv[2], err.text);
		rc = EX_CONFIG;
	}
	if (rc == EX_OK)
		warn(c);
	buf_fini(&problems);
	conf_free(&c);
	return rc;
}

/* --worker SLOT FILE: how the master starts its workers. */
static int
command_worker(int argc, char **argv)
{
	struct conf *c;
	int rc;

	if (argc != 4)
		return usage_error();
	c = conf_load_for("agent-fpm", argv[3], WORKER_FD_CONF);
	if (c == NULL)
		return EX_CONFIG;
	rc = worker_run(c, atoi(argv[2]));
	conf_free(&c);
	return rc;
}

/* A command of its own, with the configuration: its exit code, or -1. */
typedef int command_f(const struct conf *c, int argc, char **argv);

static const struct {
	const char *name;
	command_f *run;
} commands[] = {
	{ "apikey", apikey_command },
	{ "audit", audit_command },
	{ "token", token_command },
	{ "mcp", mcp_command },
	{ "models", models_command },
	{ "ctl", ctl_command },
};

static int
command_other(const char *path, int argc, char **argv)
{
	command_f *run = NULL;
	struct conf *c;
	int rc;

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(commands[i].name, argv[0]) == 0)
			run = commands[i].run;
	if (run == NULL)
		return usage_error();
	c = conf_load_for("agent-fpm", path, -1);
	if (c == NULL)
		return EX_CONFIG;
	rc = run(c, argc, argv);
	conf_free(&c);
	return rc < 0 ? usage_error() : rc;
}

/* -c may stand behind the word too. */
static int
command_doctor(const char *path, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "url", required_argument, NULL, 'u' },
		{ "token", required_argument, NULL, 't' },
		{ "ca", required_argument, NULL, 'a' },
		{ "chat", no_argument, NULL, 'm' },
		{ NULL, 0, NULL, 0 },
	};
	struct doctor_options o = { .conf_path = path, .ca_file = "" };
	int opt;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "+c:", longs, NULL)) != -1) {
		if (opt == 'c')
			o.conf_path = optarg;
		else if (opt == 'u')
			o.url = optarg;
		else if (opt == 't')
			o.token = optarg;
		else if (opt == 'a')
			o.ca_file = optarg;
		else if (opt == 'm')
			o.chat = 1;
		else
			return usage_error();
	}
	if (optind < argc || (o.url == NULL) != (o.token == NULL) ||
	    (o.url == NULL && (o.chat || *o.ca_file != '\0')))
		return usage_error();
	return doctor_run(&o);
}

/* Without a configuration: for streams from anywhere. */
static int
command_decode(int argc, char **argv)
{
	int rc = decode_command(argc, argv);

	return rc < 0 ? usage_error() : rc;
}

int
main(int argc, char **argv)
{
	const char *path = CONF_DEFAULT_PATH;
	int opt, test = 0, foreground = 0;

	if (argc > 1 && strcmp(argv[1], "--worker") == 0)
		return command_worker(argc, argv);
	if (argc > 1 && strcmp(argv[1], "--successor") == 0)
		return command_successor(argc, argv);
	if (argc > 1 && strcmp(argv[1], "--check") == 0)
		return command_check(argc, argv);
	if (argc == 3 && strcmp(argv[1], "--settings") == 0)
		return command_settings(argv[2]);
	signal(SIGPIPE, SIG_IGN); /* who hangs up is told by errno */
	while ((opt = getopt(argc, argv, "+c:tvFh")) != -1) {
		switch (opt) {
		case 'c':
			path = optarg;
			break;
		case 't':
			test = 1;
			break;
		case 'v':
			puts("agent-fpm " PACKAGE_VERSION);
			return EX_OK;
		case 'F':
			foreground = 1;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return EX_OK;
		default:
			return usage_error();
		}
	}
	if (optind < argc && strcmp(argv[optind], "decode") == 0)
		return command_decode(argc - optind, argv + optind);
	if (optind < argc && strcmp(argv[optind], "doctor") == 0)
		return command_doctor(path, argc - optind, argv + optind);
	if (optind < argc)
		return command_other(path, argc - optind, argv + optind);
	return test ? command_test(path) : command_run(path, foreground);
}
