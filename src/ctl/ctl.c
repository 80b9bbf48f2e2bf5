/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm ctl: the table of commands. What concerns turns that run is asked
 * of the pool over its socket; what concerns data is done here, by the same
 * modules that workers use, and needs no pool.
 *
 * Every command goes through run(), so that is where to tell of them.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ctl/ctl.h"
#include "ctl/ctl_priv.h"

static const struct command {
	const char *name;
	int arguments;
	ctl_f *run;
} commands[] = {
	{ "status", 0, ctl_ask_pool },
	{ "turns", 0, ctl_ask_pool },
	{ "kick", 1, ctl_ask_pool },
	{ "drain", 0, ctl_ask_pool },
	{ "undrain", 0, ctl_ask_pool },
	{ "agents", 1, ctl_agents },
	{ "delete-user", 1, ctl_delete_user },
	{ "export", 2, ctl_export },
	{ "import", 1, ctl_import },
};

static int
run(const struct command *m, struct ctl *ctl)
{
	struct err err;

	if (m->run(ctl, &err) == 0)
		return EX_OK;
	fprintf(stderr, "agent-fpm: %s: %s\n", m->name, err.text);
	return err_info(err.code)->exit_code;
}

int
ctl_command(const struct conf *c, int argc, char **argv)
{
	struct ctl ctl = { .conf = c };
	const struct command *m;

	argv++, argc--;
	if (argc > 0 && strcmp(argv[0], "--json") == 0) {
		ctl.json = 1;
		argv++, argc--;
	}
	log_level_set(LOG_ERROR); /* what matters is printed */
	for (size_t i = 0; argc > 0 && i < sizeof(commands) / sizeof(*m); i++) {
		m = &commands[i];
		if (strcmp(m->name, argv[0]) != 0)
			continue;
		if (argc != 1 + m->arguments)
			return -1;
		ctl.name = m->name;
		ctl.argument = m->arguments > 0 ? argv[1] : NULL;
		ctl.folder = m->arguments > 1 ? argv[2] : NULL;
		return run(m, &ctl);
	}
	return -1;
}
