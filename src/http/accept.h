/* SPDX-License-Identifier: MIT */
#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

struct FCGX_Request;

/* The threads of a process that accept FastCGI requests. */
struct acceptor;

/* Answers a request that libfcgi has read the parameters of, or detaches it. */
typedef void accept_f(void *ctx, struct FCGX_Request *rq);

/*
 * Starts count threads that accept on listen_fd, which does not block, and
 * serve. The descriptor stays the caller's. Aborts if there are no threads.
 */
struct acceptor *acceptor_start(
    int listen_fd, int count, accept_f *serve, void *ctx);

/* Accepts no more, and waits for what is being answered. */
void acceptor_stop(struct acceptor **ac_p);

#endif
