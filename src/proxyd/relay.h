/* SPDX-License-Identifier: MIT */
#ifndef PROXYD_RELAY_H
#define PROXYD_RELAY_H

struct conf;
struct hosts;
struct networks;

/* What the connections of one command have in common. Read only. */
struct relay_rules {
	const struct conf *conf;
	const struct hosts *hosts;
	const struct networks *public_only;
	int end_fd; /* readable: the command has ended */
};

/*
 * Serves one connection of a command from begin to end: its request, the
 * connection to the host, and bytes both ways. Blocks until that is over;
 * closes fd, a non-blocking socket.
 */
void relay_serve(const struct relay_rules *rules, int fd);

#endif
