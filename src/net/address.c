/* SPDX-License-Identifier: MIT */
/* Addresses that requests may go to. All are compared as 16 bytes. */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/address.h"

struct network {
	unsigned char prefix[16];
	int bits;
};

struct networks {
	struct network *list;
	size_t count;
};

static const unsigned char v4_mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
	0xff };
static const unsigned char nat64[12] = { 0, 0x64, 0xff, 0x9b };

/*
 * What is not globally reachable: the IANA IPv4 and IPv6 Special-Purpose
 * Address Registries, multicast, and the transitions (6to4, Teredo) that
 * carry any IPv4 address.
 */
static const char special[] =
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 "
    "172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 "
    "198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 "
    "::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001:db8::/32 "
    "2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8";

static int
address_read(const char *text, unsigned char out[16])
{
	if (inet_pton(AF_INET, text, out + 12) == 1) {
		memcpy(out, v4_mapped, sizeof(v4_mapped));
		return 96;
	}
	return inet_pton(AF_INET6, text, out) == 1 ? 0 : -1;
}

/* One word, n bytes. 0 or -1. */
static int
network_read(const char *word, size_t n, struct network *out)
{
	char text[64], *slash, *end = NULL;
	long bits = 128;
	int base;

	if (n >= sizeof(text))
		return -1;
	memcpy(text, word, n);
	text[n] = '\0';
	slash = strchr(text, '/');
	if (slash != NULL)
		*slash = '\0';
	base = address_read(text, out->prefix);
	if (slash != NULL)
		bits = strtol(slash + 1, &end, 10) + base;
	out->bits = (int)bits;
	return base < 0 || bits < base || bits > 128 ||
		       (slash != NULL && (end == slash + 1 || *end != '\0'))
		   ? -1
		   : 0;
}

struct networks *
networks_parse(const char *text, struct err *err)
{
	struct networks *n = calloc(1, sizeof(*n));
	size_t len;

	if (n == NULL)
		abort();
	n->list = calloc(strlen(text) / 2 + 1, sizeof(*n->list));
	if (n->list == NULL)
		abort();
	for (text += strspn(text, " "); *text != '\0';
	     text += len, text += strspn(text, " ")) {
		len = strcspn(text, " ");
		if (network_read(text, len, &n->list[n->count++]) == 0)
			continue;
		err_set(err, ERR_CONFIG,
		    "\"%.*s\" is no network; write 10.0.0.0/8 or fd00::/8",
		    (int)(len > 50 ? 50 : len), text);
		networks_free(&n);
		return NULL;
	}
	return n;
}

void
networks_free(struct networks **n_p)
{
	struct networks *n = *n_p;

	if (n == NULL)
		return;
	*n_p = NULL;
	free(n->list);
	free(n);
}

static int
is_within(const unsigned char a[16], const struct network *n)
{
	int whole = n->bits / 8, rest = n->bits % 8;

	if (memcmp(a, n->prefix, (size_t)whole) != 0)
		return 0;
	return rest == 0 || ((a[whole] ^ n->prefix[whole]) >> (8 - rest)) == 0;
}

static int
is_among(const unsigned char a[16], const struct networks *n)
{
	for (size_t i = 0; i < n->count; i++)
		if (is_within(a, &n->list[i]))
			return 1;
	return 0;
}

static int
is_special(const unsigned char a[16])
{
	struct network n;
	size_t len;

	for (const char *p = special; *p != '\0'; p += len + (p[len] == ' ')) {
		len = strcspn(p, " ");
		if (network_read(p, len, &n) < 0)
			abort();
		if (is_within(a, &n))
			return 1;
	}
	return 0;
}

int
networks_admit(const struct networks *n, const struct sockaddr *address)
{
	unsigned char a[16];

	if (address->sa_family == AF_INET) {
		memcpy(a, v4_mapped, sizeof(v4_mapped));
		memcpy(a + 12,
		    &((const struct sockaddr_in *)(const void *)address)
			 ->sin_addr,
		    4);
	} else if (address->sa_family == AF_INET6) {
		memcpy(a,
		    &((const struct sockaddr_in6 *)(const void *)address)
			 ->sin6_addr,
		    16);
		if (memcmp(a, nat64, sizeof(nat64)) == 0)
			memcpy(a, v4_mapped, sizeof(v4_mapped));
	} else {
		return 0;
	}
	return is_among(a, n) || !is_special(a);
}

int
networks_contain(const struct networks *n, const char *text)
{
	unsigned char a[16];

	return address_read(text, a) >= 0 && is_among(a, n);
}
