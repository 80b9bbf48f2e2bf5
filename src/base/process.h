/* SPDX-License-Identifier: MIT */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/*
 * When a process started, in clock ticks after boot; 0: there is none, or it
 * is dead and not reaped. A pid with its start time is a process; a pid alone
 * may be another's by now.
 */
unsigned long long process_start_time(pid_t pid);

/*
 * The path of the program that runs, the caller's to free; if it was replaced
 * since, that of what has its place.
 */
char *process_path(void);

/*
 * Goes on in the background, in a session of its own: the descriptor that is
 * returned wants a byte when all is well. The caller's process waits for that
 * and exits with 0, or with the code of this one if it ended first. Only
 * while there are no threads.
 */
int process_detach(void);

/*
 * Blocks all signals but those of its own faults in the caller's thread and
 * those that it starts. A non-blocking descriptor of signalfd(2), the caller's,
 * that is readable when one of these, ended by 0, has come. -1 and errno if
 * there is none to be had.
 */
int process_signals(const int *signals);

/* The same for SIGTERM, SIGINT and SIGQUIT; others stay as they are, and it
 * aborts if there is none. */
int process_end_signals(void);

/* Memory of a process that is resident, in bytes; 0 if nobody says it. */
int64_t process_resident_bytes(pid_t pid);

/* As many descriptors as the process may have at all. */
void process_raise_descriptors(void);

#endif
