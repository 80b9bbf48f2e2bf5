/* SPDX-License-Identifier: MIT */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <sys/types.h>

/*
 * When a process started, in clock ticks after boot; 0: there is none, or it
 * is dead and not reaped. A pid with its start time is a process; a pid alone
 * may be another's by now.
 */
unsigned long long process_start_time(pid_t pid);

/*
 * Goes on in the background, in a session of its own: the descriptor that is
 * returned wants a byte when all is well. The caller's process waits for that
 * and exits with 0, or with the code of this one if it ended first. Only
 * while there are no threads.
 */
int process_detach(void);

#endif
