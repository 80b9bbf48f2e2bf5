/* SPDX-License-Identifier: MIT */
#ifndef WORKER_ACCEPT_H
#define WORKER_ACCEPT_H

struct app;

/* The request threads of a worker. */
struct acceptor;

/* Starts count threads that accept on listen_fd and serve. */
struct acceptor *acceptor_start(struct app *app, int listen_fd, int count);

/* Accepts no more, and waits for what is being answered. */
void acceptor_stop(struct acceptor **ac_p);

#endif
