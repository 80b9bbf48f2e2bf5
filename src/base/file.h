/* SPDX-License-Identifier: MIT */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>

struct buf;
struct err;

/*
 * Small files of the administrator's, whole. Each appends to out what is in
 * it, at most max bytes. 0, or -1 and ERR_CONFIG, the path not in its text:
 * it cannot be read, or is larger. Blocks for the disk.
 */
int file_read(const char *path, size_t max, struct buf *out, struct err *err);

/* The same of an open file, which stays open. */
int file_read_fd(int fd, size_t max, struct buf *out, struct err *err);

#endif
