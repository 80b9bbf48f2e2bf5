/* SPDX-License-Identifier: MIT */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

/* What is to be looked at. */
struct doctor_options {
	const char *conf_path;

	/* A site that serves the pool, or NULL; and what is needed for that. */
	const char *url, *token;
	const char *ca_file; /* "" the system's */
	int chat;            /* the model may be asked */
};

/*
 * agent-fpm doctor: looks at the configuration and at all that the pool needs
 * of this host, and prints a line for each check: ok, warn or FAIL, its name,
 * what was seen, and what to do about it. Changes nothing, but for an agent
 * that it makes at the site and deletes; asks the model nothing without chat.
 * The exit code that monitoring wants: 0, 1 if something is not as good as it
 * could be, 2 if something failed. Blocks for the timeouts of what does not
 * answer.
 */
int doctor_run(const struct doctor_options *o);

#endif
