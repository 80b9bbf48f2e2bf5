/* SPDX-License-Identifier: MIT */
#ifndef MASTER_LISTEN_H
#define MASTER_LISTEN_H

struct conf;
struct err;

/* The socket that nginx connects to. */
struct listener {
	int fd;
	int inherited; /* from systemd: not ours to remove */
	char path[108];
};

/*
 * Takes the socket that systemd passed (sd_listen_fds(3): LISTEN_PID,
 * LISTEN_FDS), which must be at conf's path, else binds that path with its
 * owner, group, mode and backlog. Non-blocking and close-on-exec. A socket file
 * that nobody listens on is replaced; one that somebody does is an error. 0 or
 * -1.
 */
int listener_open(const struct conf *c, struct listener *l, struct err *err);

/*
 * The socket that another master has passed as descriptor fd. path is its
 * file if that is this one's to remove, else "". 0 or -1.
 */
int listener_adopt(
    int fd, const char *path, struct listener *l, struct err *err);

/*
 * Binds the socket of agent-fpm ctl, which only its owner may connect to. 0;
 * l->fd is -1 if there is none, by the configuration or because its default
 * path is none that can be bound (logged). -1 and ERR_CONFIG.
 */
int listener_open_ctl(
    const struct conf *c, struct listener *l, struct err *err);

/* Its path, "" if there is none; the caller's 108 bytes. */
void listener_ctl_path(const struct conf *c, char path_r[108]);

/* Closes it and, if it was bound here, removes the file. */
void listener_close(struct listener *l);

#endif
