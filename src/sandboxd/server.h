/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_SERVER_H
#define SANDBOXD_SERVER_H

struct conf;
struct err;

/*
 * Serves workers at sandbox.socket until SIGTERM, SIGINT or SIGQUIT. ready_fd,
 * if not -1, gets a byte when it listens. 0, or -1 and err if it could not
 * begin.
 */
int server_run(
    const struct conf *c, const char *conf_path, int ready_fd, struct err *err);

#endif
