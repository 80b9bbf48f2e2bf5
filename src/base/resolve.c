/* SPDX-License-Identifier: MIT */
/*
 * uv_getaddrinfo(3). Nobody can end a lookup that has begun: one that was
 * cancelled goes on without its owner, and its answer is thrown away.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/resolve.h"

#define ADDRESSES_MAX 8

struct resolve {
	uv_getaddrinfo_t request;
	resolve_f *fn; /* NULL: it was cancelled */
	void *ctx;
};

static void
on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
	struct resolve *r = request->data;
	char text[ADDRESSES_MAX][INET6_ADDRSTRLEN + 32];
	const char *addresses[ADDRESSES_MAX];
	size_t n = 0;

	for (struct addrinfo *a = list; a != NULL && n < ADDRESSES_MAX;
	     a = a->ai_next) {
		addresses[n] = text[n];
		n += getnameinfo(a->ai_addr, a->ai_addrlen, text[n],
			 sizeof(text[n]), NULL, 0, NI_NUMERICHOST) == 0;
	}
	if (r->fn != NULL)
		r->fn(r->ctx, addresses, n,
		    status < 0 ? uv_strerror(status) : "it has no address");
	uv_freeaddrinfo(list);
	free(r);
}

struct resolve *
resolve_start(
    struct loop *l, const char *host, resolve_f *fn, void *ctx, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct resolve *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		abort();
	r->fn = fn;
	r->ctx = ctx;
	r->request.data = r;
	rc = uv_getaddrinfo(
	    loop_native(l), &r->request, on_found, host, NULL, &hints);
	if (rc == 0)
		return r;
	free(r);
	err_set(err, ERR_CONFIG, "%s: %s", host, uv_strerror(rc));
	return NULL;
}

void
resolve_cancel(struct resolve **r_p)
{
	struct resolve *r = *r_p;

	if (r == NULL)
		return;
	*r_p = NULL;
	r->fn = NULL;
	uv_cancel((uv_req_t *)&r->request); /* if it has not begun */
}

int
resolve_is_address(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 ||
	       inet_pton(AF_INET6, host, address) == 1;
}
