/* SPDX-License-Identifier: MIT */
/*
 * The table of runners, and the two that need no more than a few lines: none,
 * which isolates nothing, and launcher, a program of the administrator's that
 * does (docs/sandbox.md).
 */
#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "sandboxd/network.h"
#include "sandboxd/runner.h"

static const struct runner *const runners[] = {
	[CONF_RUNNER_BUBBLEWRAP] = &runner_bubblewrap,
	[CONF_RUNNER_NONE] = &runner_none,
	[CONF_RUNNER_LAUNCHER] = &runner_launcher,
};

const struct runner *
runner_find(const struct conf *c)
{
	return runners[c->sandbox_runner];
}

/* ---- plans ---- */

static void
add_word(char **words, char *word)
{
	int i = 0;

	while (words[i] != NULL)
		i++;
	if (i == PLAN_WORDS_MAX - 1)
		abort();
	words[i] = word;
}

void
plan_arg(struct plan *p, const char *word)
{
	add_word(p->argv, arena_strdup(p->arena, word));
}

void
plan_env(struct plan *p, const char *name, const char *value)
{
	add_word(p->env, arena_printf(p->arena, "%s=%s", name, value));
}

/* ---- none ---- */

#ifdef UNSAFE_SANDBOX
#define NONE_ALLOWED 1
#else
#define NONE_ALLOWED 0
#endif

int
runner_allowed(const struct conf *c, struct err *err)
{
	if (NONE_ALLOWED || c->sandbox_runner != CONF_RUNNER_NONE)
		return 0;
	return err_set(err, ERR_CONFIG,
	    "sandbox.runner = none isolates nothing: it is only for builds "
	    "that were configured with --enable-unsafe-sandbox");
}

static int
none_check(struct launcher *l, int first, struct err *err)
{
	if (runner_allowed(l->conf, err) < 0)
		return -1;
	if (first)
		log_warn("sandbox.runner = none: COMMANDS ARE NOT ISOLATED: "
			 "each can read and change the files of all agents and "
			 "do whatever else agent-fpm-sandbox can");
	return 0;
}

static int
none_plan(const struct launcher *l, const struct order *o, struct plan *p,
    struct err *err)
{
	(void)err;
	p->path = "/bin/bash";
	p->directory = o->workspace;
	p->file_bytes = l->conf->sandbox_quota_bytes;
	p->memory_bytes = RUNNER_MEMORY_MAX;
	plan_arg(p, "bash");
	plan_arg(p, "-c");
	plan_arg(p, o->command);
	plan_env(p, "PATH", RUNNER_PATH);
	plan_env(p, "HOME", o->workspace);
	plan_env(p, "LANG", "C.UTF-8");
	plan_env(p, "TERM", "dumb");
	return 0;
}

static const char *
none_advice(void)
{
	return "is there a /bin/bash?";
}

const struct runner runner_none = { "none", none_check, none_plan,
	none_advice };

/* ---- launcher ---- */

static int
launcher_check(struct launcher *l, int first, struct err *err)
{
	const char *path = l->conf->sandbox_launcher;

	(void)first;
	if (*path == '/' && access(path, X_OK) == 0)
		return 0;
	return err_set(err, ERR_CONFIG,
	    "sandbox.launcher: \"%s\" is no program: write its absolute path",
	    path);
}

/* PROGRAM WORKSPACE yes|no COMMAND; with a network its descriptor 3 is the
 * connection to the proxy. */
static int
launcher_plan(const struct launcher *l, const struct order *o, struct plan *p,
    struct err *err)
{
	(void)err;
	p->path = l->conf->sandbox_launcher;
	plan_arg(p, p->path);
	plan_arg(p, o->workspace);
	plan_arg(p, o->network < 0 ? "no" : "yes");
	plan_arg(p, o->command);
	plan_env(p, "PATH", RUNNER_PATH);
	plan_env(p, "LANG", "C.UTF-8");
	if (o->network >= 0)
		p->fds[p->fd_count++] = o->network;
	return 0;
}

static const char *
launcher_advice(void)
{
	return "the program of sandbox.launcher must end with 0 for the "
	       "command \"true\"";
}

const struct runner runner_launcher = { "launcher", launcher_check,
	launcher_plan, launcher_advice };
