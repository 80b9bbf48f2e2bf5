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
};

/* Does it, and prints what came of it. 0, or -1 and err. */
typedef int ctl_f(struct ctl *ctl, struct err *err);

/* ---- pool.c: asked over the pool's socket ---- */
ctl_f ctl_ask_pool;

#endif
