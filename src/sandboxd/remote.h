/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_REMOTE_H
#define SANDBOXD_REMOTE_H

struct conf;
struct err;
struct server;

/*
 * sandbox.fastcgi: requests of workers on other hosts, which nginx passes on.
 * A few threads read them, check who asks, and hand them to the server.
 */
struct remote;

/* Listens; nothing is accepted yet. NULL and ERR_CONFIG. */
struct remote *remote_open(
    const struct conf *c, struct server *s, struct err *err);

/* Once the server's loop is there. */
void remote_start(struct remote *r);

/* Accepts no more; what is being read is waited for. */
void remote_close(struct remote **r_p);

#endif
