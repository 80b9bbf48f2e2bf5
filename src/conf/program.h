/* SPDX-License-Identifier: MIT */
#ifndef CONF_PROGRAM_H
#define CONF_PROGRAM_H

struct conf;
struct err;

/*
 * A companion of agent-fpm: a program of its own, agent-fpm-NAME, that reads
 * the same configuration and stays in the foreground.
 */
struct program {
	const char *name; /* also what its lines in the log begin with */

	/* What it does. The exit status; -1: err tells, on stderr. c is the
	 * caller's. */
	int (*run)(const struct conf *c, void *ctx, struct err *err);
	void *ctx;
};

/*
 * The whole of main() for a program that takes [-c FILE] [-v]. argv is
 * main()'s. Returns the exit status, of sysexits(3) where it failed.
 */
int program_main(const struct program *p, int argc, char **argv);

/* What is left of it for a program that reads its arguments itself: loads the
 * configuration at path, and runs. */
int program_run(const struct program *p, const char *path);

/* The answer to -v. Returns EX_OK. */
int program_version(const struct program *p);

#endif
