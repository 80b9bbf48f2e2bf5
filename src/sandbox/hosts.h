/* SPDX-License-Identifier: MIT */
#ifndef SANDBOX_HOSTS_H
#define SANDBOX_HOSTS_H

#include <stddef.h>

struct arena;
struct err;
struct json;
struct sockaddr;

/*
 * Which hosts a command may reach: the list of a template's member "network".
 * Its elements are HOST, HOST:PORT, *.DOMAIN and *.DOMAIN:PORT; without a
 * port 443 and 80 are meant. HOST is a name or an address, one of IPv6 in
 * brackets. A domain is all below it and not itself.
 */
struct hosts;

#define HOST_NAME_MAX_CHARS 253
#define HOSTS_MAX 256
#define HOSTS_JSON_MAX (128u << 10) /* of a list as JSON text */

/* A host as it is written in a list, in CONNECT and in a URL. */
struct host {
	/* In lower case, without brackets and the dot of the root. */
	char name[HOST_NAME_MAX_CHARS + 1];
	int port;                  /* 0: it was not said */
	int is_address;            /* the name is one, */
	unsigned char address[16]; /* this; IPv4 as ::ffff:a.b.c.d */
};

/* HOST or HOST:PORT, all of len bytes. 0, or -1: it is none. */
int host_read(const char *text, size_t len, struct host *out);

/*
 * The list, the arena's. NULL and ERR_CONFIG with the element that is wrong;
 * at most HOSTS_MAX of them.
 */
struct hosts *hosts_parse(
    struct arena *a, const struct json *list, struct err *err);

/* 1 if the list has it. It must have a port. */
int hosts_admit(const struct hosts *h, const struct host *host);

/* 1 if the list has this very address, as an address and with that port. */
int hosts_admit_address(
    const struct hosts *h, const struct sockaddr *address, int port);

#endif
