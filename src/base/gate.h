/* SPDX-License-Identifier: MIT */
#ifndef BASE_GATE_H
#define BASE_GATE_H

#include <sys/types.h>

struct err;

/*
 * The unix socket of agent-fpm-sandbox, of agent-fpm-proxy, of
 * agent-fpm-bridge: made with mode 0660 and a group, and for few users. The
 * names of settings are for messages.
 */
struct gate {
	/* Set by the owner; the texts must stay. */
	const char *path, *path_setting;
	const char *group, *group_setting;
	const char *client, *client_setting; /* a user; "": none */

	int fd; /* non-blocking */
	uid_t client_uid;
};

/*
 * Listens there, in place of a socket that nobody serves any more. 0, or -1
 * and ERR_CONFIG: fd is -1 then.
 */
int gate_open(struct gate *l, struct err *err);

/* Closes it and takes the path away; fine if it is not open. */
void gate_close(struct gate *l);

/*
 * The next connection, close-on-exec and non-blocking, of root, of our own
 * user or of the client; others are closed and logged. -1: there is none.
 */
int gate_accept(const struct gate *l);

#endif
