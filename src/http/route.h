/* SPDX-License-Identifier: MIT */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include <stddef.h>

struct err;
struct http_request;

/* A row of a route table; the last one has no method. */
struct http_route {
	const char *method; /* GET serves HEAD too */
	const char *
	    pattern; /* /a/:id; a :name is one segment, a last *name the rest */
	int (*handle)(void *call, struct err *err);
	unsigned flags; /* the table owner's */
};

/*
 * The row for a request, whose params are filled in. NULL and ERR_NOT_FOUND,
 * or ERR_METHOD and in allow the methods that the path knows.
 */
const struct http_route *http_route_find(const struct http_route *routes,
    struct http_request *rq, char *allow, size_t size, struct err *err);

#endif
