/* SPDX-License-Identifier: MIT */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

/*
 * Named moments at which a crash test kills the process. The variable
 * AGENT_FPM_CRASH_AT is "NAME" or "NAME:N" for the N-th time it is reached;
 * "stop:NAME[:N]" stops the process instead, as SIGSTOP does. Compiled out
 * by configure --disable-crash-points.
 */
#ifdef CRASH_POINTS
void crash_point(const char *name);
#else
#define crash_point(name) ((void)0)
#endif

#endif
