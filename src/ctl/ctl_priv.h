/* SPDX-License-Identifier: MIT */
#ifndef CTL_CTL_PRIV_H
#define CTL_CTL_PRIV_H

#include "base/err.h"

struct conf;

/* What a command was given. */
struct ctl {
	const struct conf *conf;
	int json;             /* print JSON, for programs */
	const char *name;     /* of the command */
	const char *argument; /* NULL: it takes none */
	const char *folder;   /* the second; NULL: it takes none */
};

/* Does it, and prints what came of it. 0, or -1 and err. */
typedef int ctl_f(struct ctl *ctl, struct err *err);

/* ---- pool.c: asked over the pool's socket ---- */
ctl_f ctl_ask_pool;

/* ---- means.c: Redis and the sandbox, for a command of this process ---- */

struct store;
struct sandbox;

/* What commands work with. The loop runs in a thread of its own. */
struct means;

/* 0, or -1 and ERR_CONFIG. */
int means_new(const struct conf *c, struct means **m_r, struct err *err);
void means_free(struct means **m_p);
struct store *means_store(struct means *m);

/* NULL: this host's agents have no files. */
struct sandbox *means_sandbox(struct means *m);

/* ---- agents.c ---- */
ctl_f ctl_agents;

/* A text of a user's, as one word of a line on standard output. */
void ctl_print_word(const char *s);

/* ---- erase.c ---- */
ctl_f ctl_delete_user;

/* ---- export.c, import.c ---- */

/* 1 had no line at the end of an agent, so that nobody saw if it was cut. */
#define CTL_EXPORT_FORMAT 2

ctl_f ctl_export;
ctl_f ctl_import;

#endif
