/* SPDX-License-Identifier: MIT */
#ifndef DOCTOR_PARTS_H
#define DOCTOR_PARTS_H

#include <stddef.h>

struct buf;
struct conf;
struct err;

/*
 * What a worker needs beside the settings themselves, checked without one:
 * secrets and keys, skills, templates. For agent-fpm -t, the start, and
 * agent-fpm doctor.
 */
struct part {
	const char *name;

	/* 0 and in seen what there is, for people; or -1 and ERR_CONFIG.
	 * Blocks for the disk. */
	int (*check)(const struct conf *c, struct buf *seen, struct err *err);
};

/* The i-th of them, NULL behind the last. */
const struct part *part_at(size_t i);

/* All of them: 0, or -1 and the first error. */
int parts_check(const struct conf *c, struct err *err);

#endif
