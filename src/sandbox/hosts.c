/* SPDX-License-Identifier: MIT */
/*
 * Hosts that commands may reach. What could be read as an address in another
 * way (127.1, 0x7f000001) is no name: the last label of a name begins with a
 * letter. Addresses are compared as 16 bytes.
 */
#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "sandbox/hosts.h"

#define LABEL_MAX_CHARS 63
#define PORT_MAX 65535

struct entry {
	struct host host;
	int is_domain;
};

struct hosts {
	struct entry *list;
	size_t count;
};

static const unsigned char v4_mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
	0xff };

/* ---- one ---- */

/* All of len digits, 1 to 65535; else 0. */
static int
port_read(const char *p, size_t len)
{
	int port = 0;

	if (len == 0 || len > 5)
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)p[i]))
			return 0;
		port = port * 10 + p[i] - '0';
	}
	return port <= PORT_MAX ? port : 0;
}

/* Labels of letters, digits, - and _; the last begins with a letter. */
static int
is_name(const char *name)
{
	size_t n;

	for (const char *p = name;; p += n + 1) {
		n = strcspn(p, ".");
		if (n == 0 || n > LABEL_MAX_CHARS)
			return 0;
		for (size_t i = 0; i < n; i++)
			if (!isalnum((unsigned char)p[i]) && p[i] != '-' &&
			    p[i] != '_')
				return 0;
		if (p[n] == '\0')
			return isalpha((unsigned char)*p) != 0;
	}
}

/* [ADDRESS], with a port behind it or not. */
static int
read_brackets(const char *text, size_t len, struct host *out)
{
	const char *end = memchr(text, ']', len);
	size_t n = end == NULL ? 0 : (size_t)(end - text) - 1;
	size_t rest = end == NULL ? 0 : len - n - 2;

	if (end == NULL || n >= INET6_ADDRSTRLEN)
		return -1;
	memcpy(out->name, text + 1, n);
	if (inet_pton(AF_INET6, out->name, out->address) != 1)
		return -1;
	out->is_address = 1;
	if (rest > 0 &&
	    (end[1] != ':' || (out->port = port_read(end + 2, rest - 1)) == 0))
		return -1;
	return 0;
}

int
host_read(const char *text, size_t len, struct host *out)
{
	const char *colon = memchr(text, ':', len);
	size_t n = colon == NULL ? len : (size_t)(colon - text);

	memset(out, 0, sizeof(*out));
	if (len > 0 && *text == '[')
		return read_brackets(text, len, out);
	if (colon != NULL &&
	    (out->port = port_read(colon + 1, len - n - 1)) == 0)
		return -1;
	if (n > 0 && text[n - 1] == '.')
		n--;
	if (n == 0 || n > HOST_NAME_MAX_CHARS || memchr(text, '\0', n) != NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		out->name[i] = (char)tolower((unsigned char)text[i]);
	if (inet_pton(AF_INET, out->name, out->address + 12) == 1) {
		memcpy(out->address, v4_mapped, sizeof(v4_mapped));
		out->is_address = 1;
		return 0;
	}
	return is_name(out->name) ? 0 : -1;
}

/* ---- the list ---- */

static int
entry_read(const char *text, struct entry *out)
{
	out->is_domain = strncmp(text, "*.", 2) == 0;
	if (out->is_domain)
		text += 2;
	if (host_read(text, strlen(text), &out->host) < 0)
		return -1;
	return out->is_domain && out->host.is_address ? -1 : 0;
}

struct hosts *
hosts_parse(struct arena *a, const struct json *list, struct err *err)
{
	struct hosts *h = arena_new(a, struct hosts);
	const char *text;

	if (!json_is(list, JSON_ARRAY) || json_count(list) > HOSTS_MAX) {
		err_set(err, ERR_CONFIG,
		    "network is a list of at most %d hosts", HOSTS_MAX);
		return NULL;
	}
	h->list = arena_alloc(a, (json_count(list) + 1) * sizeof(*h->list));
	for (const struct json *j = json_first(list); j != NULL;
	     j = json_next(j)) {
		text = json_str(j);
		if (text != NULL && entry_read(text, &h->list[h->count++]) == 0)
			continue;
		err_set(err, ERR_CONFIG,
		    "network: \"%.60s\" is no host; write example.org, "
		    "example.org:8443, *.example.org, 192.0.2.1 or "
		    "[2001:db8::1]",
		    text == NULL ? "" : text);
		return NULL;
	}
	return h;
}

static int
has_port(const struct entry *e, int port)
{
	return e->host.port == 0 ? port == 443 || port == 80
				 : port == e->host.port;
}

static int
is_below(const char *name, const char *domain)
{
	size_t n = strlen(name), k = strlen(domain);

	return n > k + 1 && name[n - k - 1] == '.' &&
	       strcmp(name + n - k, domain) == 0;
}

static int
is_same(const struct entry *e, const struct host *host)
{
	if (e->host.is_address || host->is_address)
		return e->host.is_address && host->is_address &&
		       memcmp(e->host.address, host->address, 16) == 0;
	return e->is_domain ? is_below(host->name, e->host.name)
			    : strcmp(host->name, e->host.name) == 0;
}

int
hosts_admit(const struct hosts *h, const struct host *host)
{
	for (size_t i = 0; i < h->count; i++)
		if (has_port(&h->list[i], host->port) &&
		    is_same(&h->list[i], host))
			return 1;
	return 0;
}

int
hosts_admit_address(
    const struct hosts *h, const struct sockaddr *address, int port)
{
	struct host host = { .port = port, .is_address = 1 };

	if (address->sa_family == AF_INET) {
		memcpy(host.address, v4_mapped, sizeof(v4_mapped));
		memcpy(host.address + 12,
		    &((const struct sockaddr_in *)(const void *)address)
			 ->sin_addr,
		    4);
	} else if (address->sa_family == AF_INET6) {
		memcpy(host.address,
		    &((const struct sockaddr_in6 *)(const void *)address)
			 ->sin6_addr,
		    16);
	} else {
		return 0;
	}
	return hosts_admit(h, &host);
}
