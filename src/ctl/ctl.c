/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm ctl: the table of commands. What concerns turns that run is asked
 * of the pool over its socket; what concerns data is done here, by the same
 * modules that workers use, and needs no pool.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "conf/conf.h"
#include "ctl/ctl.h"
#include "ctl/ctl_priv.h"
#include "store/audit.h"
#include "store/script.h"
#include "store/store.h"

static const struct command {
	const char *name;
	int arguments;
	int is_act; /* for the audit log */
	ctl_f *run;
} commands[] = {
	{ "status", 0, 0, ctl_ask_pool },
	{ "turns", 0, 0, ctl_ask_pool },
	{ "kick", 1, 1, ctl_ask_pool },
	{ "drain", 0, 1, ctl_ask_pool },
	{ "undrain", 0, 1, ctl_ask_pool },
	{ "agents", 1, 0, ctl_agents },
	{ "delete-user", 1, 1, ctl_delete_user },
	{ "export", 2, 1, ctl_export },
	{ "import", 1, 1, ctl_import },
};

/* Who is at this host's command line did it, or tried to. */
static void
audit(const struct command *m, const struct ctl *ctl, const char *why_not)
{
	struct arena *a = arena_open(4096);
	struct store *st;
	struct audit *au;

	script_init();
	st = store_new(ctl->conf);
	au = audit_new(ctl->conf, st);
	audit_write(au, a,
	    &(struct audit_record){
		.act = arena_printf(a, "agent-fpm ctl %s", m->name),
		.from = arena_printf(a, "uid %d", (int)getuid()),
		.what = ctl->argument == NULL ? "" : ctl->argument,
		.detail = why_not });
	audit_free(&au);
	store_free(&st);
	arena_close(&a);
}

static int
run(const struct command *m, struct ctl *ctl)
{
	struct err err;
	int rc;

	err_clear(&err);
	rc = m->run(ctl, &err);
	if (m->is_act)
		audit(m, ctl, rc == 0 ? "" : err.text);
	if (rc == 0)
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
