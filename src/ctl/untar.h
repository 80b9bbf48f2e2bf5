/* SPDX-License-Identifier: MIT */
#ifndef CTL_UNTAR_H
#define CTL_UNTAR_H

#include <stdint.h>
#include <stdio.h>

struct buf;
struct err;

/* An entry of an archive (POSIX.1-2017, pax), as agent-fpm-sandbox makes
 * them. name is the caller's buffer's, and ends with 0. */
struct untar_entry {
	struct buf *name;
	char type;    /* '0' a file, '5' a directory, '2' a symlink */
	int64_t size; /* of a file: so many bytes follow */
};

/*
 * The next entry; name must be initialised. 1; 0 at the end of the archive;
 * -1 and ERR_REQUEST: it is cut, or is none.
 */
int untar_next(FILE *f, struct untar_entry *e, struct err *err);

/* The content of an entry, appended to out. 0 or -1. */
int untar_read(
    FILE *f, const struct untar_entry *e, struct buf *out, struct err *err);

/* Past the content of an entry that is not read. 0 or -1. */
int untar_skip(FILE *f, const struct untar_entry *e, struct err *err);

#endif
