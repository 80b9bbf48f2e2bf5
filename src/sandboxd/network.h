/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_NETWORK_H
#define SANDBOXD_NETWORK_H

struct conf;
struct err;
struct json;

/*
 * The network of a command whose template has one: a listening socket in its
 * own network namespace, which agent-fpm-proxy accepts on. Here is the
 * connection to the proxy that says which hosts are allowed, and that lives
 * as long as the command.
 */
#define NETWORK_PORT 3128 /* of 127.0.0.1, where the command finds it */
#define NETWORK_URL "http://127.0.0.1:3128"

/*
 * Asks for it. 0, and in fd_r the connection, the caller's, or -1 if hosts is
 * NULL or empty: no network. -1 and ERR_INVALID if there is none here or the
 * proxy is away. Blocks for at most some seconds.
 */
int network_open(
    const struct conf *c, const struct json *hosts, int *fd_r, struct err *err);

/*
 * Within the command's namespace: makes the socket, hands it to the proxy
 * over fd, that connection, and becomes the program argv. The exit code if
 * that does not work.
 */
int network_exec(int fd, char *const *argv);

#endif
