/* SPDX-License-Identifier: MIT */
/*
 * For LD_PRELOAD: names of hosts are looked up in NAMES_MS. An address is none.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

typedef int lookup_f(
    const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **found)
{
	unsigned char address[sizeof(struct in6_addr)];
	const char *ms = getenv("NAMES_MS");
	lookup_f *real = (lookup_f *)dlsym(RTLD_NEXT, "getaddrinfo");

	if (ms != NULL && host != NULL &&
	    inet_pton(AF_INET, host, address) != 1 &&
	    inet_pton(AF_INET6, host, address) != 1)
		usleep((useconds_t)atoi(ms) * 1000);
	return real(host, service, hints, found);
}
