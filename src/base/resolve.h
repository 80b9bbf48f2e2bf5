/* SPDX-License-Identifier: MIT */
#ifndef BASE_RESOLVE_H
#define BASE_RESOLVE_H

#include <stddef.h>

struct err;
struct loop;

/*
 * The addresses of a host's name, by getaddrinfo(3), which may take as long as
 * the servers of names do; so it is called in a thread of libuv's. All here is
 * the loop thread's.
 */
struct resolve;

/* What was found, as text, while it runs; none: why. */
typedef void resolve_f(
    void *ctx, const char *const *addresses, size_t count, const char *why);

/* fn is called later, once. Freed then, or when it is cancelled. NULL and
 * ERR_CONFIG: it cannot be a host's name. */
struct resolve *resolve_start(struct loop *l, const char *host, resolve_f *fn,
    void *ctx, struct err *err);

/* fn is called no more. */
void resolve_cancel(struct resolve **r_p);

/* 1 if a host is an address already, and not a name. */
int resolve_is_address(const char *host);

#endif
