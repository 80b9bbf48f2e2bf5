/* SPDX-License-Identifier: MIT */
#ifndef PROXYD_DIAL_H
#define PROXYD_DIAL_H

#include <stdint.h>

struct err;
struct host;
struct hosts;
struct networks;

/*
 * Waits until fd is ready for events (of poll), end_fd is readable or the
 * deadline, monotonic, has passed. 1 fd is ready, 0 the deadline, -1 the end.
 */
int wait_ready(int fd, short events, int end_fd, int64_t deadline_ms);

/*
 * Connects to a host that the list has. Its name is resolved here, and the
 * addresses that came of it are connected to, not the name again; those that
 * are not public are left out, unless the list has them as addresses. Blocks:
 * as long as the resolver takes, and then for connect_ms at most, of which no
 * address gets all while there are others. A non-blocking descriptor, or -1
 * and ERR_FORBIDDEN: the list or no public address; ERR_NOT_FOUND,
 * ERR_TIMEOUT: it is not reached; ERR_CANCELLED: end_fd.
 */
int dial(const struct host *to, const struct hosts *hosts,
    const struct networks *public_only, int end_fd, int64_t connect_ms,
    struct err *err);

#endif
