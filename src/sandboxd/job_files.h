/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_JOB_FILES_H
#define SANDBOXD_JOB_FILES_H

#include <stddef.h>
#include <sys/types.h>

struct arena;

/* The files of a background job, in its directory (jobs.h). */

/* Whole, or not at all: 0, or -1. */
int job_file_write(int dir, const char *name, const char *text, size_t len);

/* At most max bytes; NULL if there is no such file. */
char *job_file_read(struct arena *a, int dir, const char *name, size_t max);

/* The supervisor of the job, if it lives; else 0. */
pid_t job_supervisor(struct arena *a, int dir);

#endif
