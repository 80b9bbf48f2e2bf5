/* SPDX-License-Identifier: MIT */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdint.h>

/*
 * What a service manager is told: the protocol of sd_notify(3), a datagram of
 * lines NAME=VALUE to the unix socket in $NOTIFY_SOCKET.
 */

/*
 * Takes $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID out of the
 * environment, so that children do not speak for this process. Once, while
 * there is one thread.
 */
void notify_init(void);

/*
 * Puts them back, or takes them out again: around the start of a process
 * that shall speak in this one's place.
 */
void notify_export(int on);

/* Sends a datagram; nothing where nobody listens. Does not block. */
void notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* How often the manager wants to hear WATCHDOG=1, in ms; 0: never. */
int64_t notify_watchdog_ms(void);

#endif
