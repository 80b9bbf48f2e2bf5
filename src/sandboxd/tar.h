/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_TAR_H
#define SANDBOXD_TAR_H

#include <stdint.h>
#include <sys/stat.h>

struct buf;

/*
 * Writes tar archives as POSIX.1-2017 has them (pax, with ustar headers where
 * those are enough): whatever bytes a name has and however long it is, without
 * owners. What follows the header of a regular file are its st_size bytes,
 * then tar_put_padding.
 */

/* 1 if what st says is kept in an archive: file, directory or symlink. */
int tar_takes(const struct stat *st);

/* The header of an entry; target is a symlink's, else NULL. A directory's name
 * has no / at its end here. */
void tar_put_header(struct buf *out, const char *name, const struct stat *st,
    const char *target);

/* What fills the last block of so many bytes. */
void tar_put_padding(struct buf *out, int64_t size);

/* The end of the archive. */
void tar_put_end(struct buf *out);

#endif
