/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_FILTER_H
#define SANDBOXD_FILTER_H

#include <stddef.h>

struct err;

/* Programs that bubblewrap's --add-seccomp-fd reads. */
#define FILTERS 2

struct filter {
	void *bytes;
	size_t len;
};

/*
 * The system calls that a command in the sandbox may make: a list of what
 * programs need, by libseccomp; all else is ENOSYS, as on an older kernel.
 * Not on it, among others: namespaces and mounts, ptrace and other processes'
 * memory, keyrings, bpf, perf, io_uring, userfaultfd, vsock and packet
 * sockets, and pushing input into a terminal.
 *
 * Made once. 0, or -1 and ERR_CONFIG; the caller frees the bytes.
 */
int filter_make(struct filter out[FILTERS], struct err *err);

#endif
