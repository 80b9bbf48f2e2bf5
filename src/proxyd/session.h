/* SPDX-License-Identifier: MIT */
#ifndef PROXYD_SESSION_H
#define PROXYD_SESSION_H

struct conf;
struct networks;

/*
 * One command and its network, from when it is asked for until the command
 * ends. docs/sandbox.md has what is said.
 */
struct session {
	/* Set by whoever starts it. */
	const struct conf *conf;
	const struct networks *public_only;
	int fd;      /* the connection of who runs the command, non-blocking */
	int stop_fd; /* readable: all are to end */
};

/* Runs it; blocks until it is over, and closes fd. */
void session_serve(const struct session *s);

#endif
