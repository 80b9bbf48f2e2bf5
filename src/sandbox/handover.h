/* SPDX-License-Identifier: MIT */
#ifndef SANDBOX_HANDOVER_H
#define SANDBOX_HANDOVER_H

/* A descriptor that goes from one process to another over a unix socket. */

/* Sends fd with one byte; it stays the caller's. 0, or -1 and errno. */
int handover_give(int socket, int fd);

/*
 * Takes one, close-on-exec, the caller's. 0, or -1 if the other side hung up
 * or there is no descriptor with the byte.
 */
int handover_take(int socket, int *fd_r);

#endif
