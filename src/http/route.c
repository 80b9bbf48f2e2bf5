/* SPDX-License-Identifier: MIT */
/* Finding the row of a request: by path, then by method (RFC 9110). */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "http/request.h"
#include "http/route.h"

/* 1 if path is of the pattern's form; what :name stands for goes to rq. */
static int
path_matches(const char *pattern, const char *path, struct http_request *rq)
{
	size_t n, len;
	int params = 0;

	while (*pattern != '\0' && *path != '\0') {
		n = strcspn(pattern, "/");
		len = strcspn(path, "/");
		if (*pattern == '*') { /* all that follows */
			if (params == HTTP_PATH_PARAMS)
				return 0;
			rq->param[params] = arena_strdup(rq->arena, path);
			return 1;
		}
		if (*pattern == ':') {
			if (len == 0 || params == HTTP_PATH_PARAMS)
				return 0;
			rq->param[params++] =
			    arena_memdup(rq->arena, path, len);
		} else if (n != len || strncmp(pattern, path, n) != 0) {
			return 0;
		}
		pattern += n;
		path += len;
		if (*pattern != *path)
			return 0;
		pattern += *pattern == '/';
		path += *path == '/';
	}
	return *pattern == *path;
}

static void
allow_add(char *allow, size_t size, const char *method)
{
	size_t n = strlen(allow);

	snprintf(allow + n, size - n, "%s%s%s", n == 0 ? "" : ", ", method,
	    strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

const struct http_route *
http_route_find(const struct http_route *routes, struct http_request *rq,
    char *allow, size_t size, struct err *err)
{
	const char *method = rq->method;

	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	allow[0] = '\0';
	for (const struct http_route *r = routes; r->method != NULL; r++) {
		if (!path_matches(r->pattern, rq->path, rq))
			continue;
		if (strcmp(r->method, method) == 0)
			return r;
		allow_add(allow, size, r->method);
	}
	if (allow[0] == '\0') {
		err_set(err, ERR_NOT_FOUND, "there is no such resource");
		return NULL;
	}
	allow_add(allow, size, "OPTIONS");
	err_set(err, ERR_METHOD, "this resource allows %s", allow);
	return NULL;
}
