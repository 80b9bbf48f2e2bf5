/* SPDX-License-Identifier: MIT */
/*
 * The doctor: the table of checks, and how a line of one looks. Each group of
 * checks has a file of its own, and uses what the pool itself uses: what it
 * reaches the pool reaches, as the same user.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "doctor/doctor.h"
#include "doctor/doctor_priv.h"
#include "doctor/parts.h"

static void
check_parts(struct doctor *d)
{
	const struct part *p;
	struct buf seen;
	struct err err;

	for (size_t i = 0; (p = part_at(i)) != NULL; i++) {
		buf_init(&seen, d->arena);
		if (p->check(d->conf, &seen, &err) < 0)
			doctor_say(d, DOCTOR_FAIL, p->name, "%s", err.text);
		else
			doctor_say(d, DOCTOR_OK, p->name, "%s", buf_str(&seen));
	}
}

/* In the order in which an administrator would put things right. */
static doctor_check_f *const checks[] = {
	check_parts,
	check_secrets,
	check_libraries,
	check_listen,
	check_descriptors,
	check_disks,
	check_store,
	check_sandbox,
	check_issuers,
	check_bridge,
	check_model,
	check_prices,
	check_site,
};

void
doctor_say(
    struct doctor *d, enum verdict v, const char *name, const char *fmt, ...)
{
	static const char *const words[] = { "ok", "warn", "FAIL" };
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' '; /* one line, whatever others have said */
	printf("%-4s  %-18s  %s\n", words[v], name, text);
	fflush(stdout);
	if (v > d->worst)
		d->worst = v;
}

/* The settings; NULL: each mistake was said. */
static struct conf *
load(struct doctor *d, const char *path)
{
	struct buf problems;
	struct err err;
	struct conf *c;
	size_t n;

	buf_init(&problems, d->arena);
	c = conf_load(path, -1, &problems, &err);
	if (c != NULL) {
		doctor_say(d, DOCTOR_OK, "configuration", "%s is good", path);
		return c;
	}
	if (problems.len == 0)
		doctor_say(d, DOCTOR_FAIL, "configuration", "%s", err.text);
	for (const char *p = buf_str(&problems); *p != '\0'; p += n) {
		n = strcspn(p, "\n");
		doctor_say(d, DOCTOR_FAIL, "configuration", "%.*s", (int)n, p);
		n += p[n] == '\n';
	}
	return NULL;
}

int
doctor_run(const struct doctor_options *o)
{
	static const int codes[] = {
		[DOCTOR_OK] = 0, [DOCTOR_WARN] = 1, [DOCTOR_FAIL] = 2
	};
	struct doctor d = { .options = o, .arena = arena_open(16384) };
	struct conf *c = load(&d, o->conf_path);

	log_level_set(LOG_ERROR); /* what is wrong is said here */
	d.conf = c;
	for (size_t i = 0; c != NULL && i < sizeof(checks) / sizeof(*checks);
	     i++)
		checks[i](&d);
	conf_free(&c);
	arena_close(&d.arena);
	return codes[d.worst];
}
