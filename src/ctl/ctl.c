/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm ctl: the table of commands. What concerns turns that run is asked
 * of the pool over its socket; what concerns data is done here, by the same
 * modules that workers use, and needs no pool.
 *
 * An act is on record by who does it: the pool's by its worker, those here
 * before they begin and when they have ended, as somebody may stop them
 * meanwhile.
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
	int is_act; /* of this process, for the audit log */
	ctl_f *run;
} commands[] = {
	{ "status", 0, 0, ctl_ask_pool },
	{ "turns", 0, 0, ctl_ask_pool },
	{ "kick", 1, 0, ctl_ask_pool },
	{ "drain", 0, 0, ctl_ask_pool },
	{ "undrain", 0, 0, ctl_ask_pool },
	{ "agents", 1, 0, ctl_agents },
	{ "delete-user", 1, 1, ctl_delete_user },
	{ "export", 2, 1, ctl_export },
	{ "import", 1, 1, ctl_import },
};

/* Who is at this host's command line does it. */
static void
record(struct audit *au, const struct command *m, const struct ctl *ctl,
    const char *detail)
{
	struct arena *a = arena_open(4096);

	audit_write(au, a,
	    &(struct audit_record){
		.act = arena_printf(a, "agent-fpm ctl %s", m->name),
		.from = arena_printf(a, "uid %d", (int)getuid()),
		.what = ctl->argument == NULL ? "" : ctl->argument,
		.detail = detail });
	arena_close(&a);
}

/* An act, and its records. */
static int
run_act(const struct command *m, struct ctl *ctl, struct err *err)
{
	struct store *st;
	struct audit *au;
	int rc;

	script_init();
	st = store_new(ctl->conf);
	au = audit_new(ctl->conf, st);
	record(au, m, ctl, "begun");
	rc = m->run(ctl, err);
	record(au, m, ctl, rc == 0 ? "done" : err->text);
	audit_free(&au);
	store_free(&st);
	return rc;
}

static int
run(const struct command *m, struct ctl *ctl)
{
	struct err err;

	err_clear(&err);
	if ((m->is_act ? run_act(m, ctl, &err) : m->run(ctl, &err)) == 0)
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
