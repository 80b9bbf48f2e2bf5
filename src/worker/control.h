/* SPDX-License-Identifier: MIT */
#ifndef WORKER_CONTROL_H
#define WORKER_CONTROL_H

struct app;

/*
 * What agent-fpm ctl asks of the pool: a thread that accepts on the socket
 * which all workers share, and answers root and the pool's own user, one
 * connection at a time.
 *
 * A request is a line of words, [json] VERB [ARGUMENT]. The answer is a line,
 * "ok" or "error EXITCODE TEXT", and after ok what is to be printed; then the
 * connection ends.
 */
struct control;

/* fd is the listening socket, or -1: then it is none, and NULL. */
struct control *control_start(struct app *app, int fd);

/* Waits for the thread; an answer that is being given is given. NULL: fine. */
void control_stop(struct control **c_p);

#endif
