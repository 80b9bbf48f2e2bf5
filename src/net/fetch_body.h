/* SPDX-License-Identifier: MIT */
#ifndef NET_FETCH_BODY_H
#define NET_FETCH_BODY_H

#include <curl/curl.h>
#include <stddef.h>

struct fetch_spec;

/* The body of a request, while curl sends it; zeroed at first. */
struct fetch_body {
	struct fetch_piece {
		const char *data;
		size_t len;
	} piece[2]; /* if it has two that are large */
	size_t read;
	char *joined; /* if they are small */
};

/*
 * Gives the body of spec to a handle: as one piece, which curl sends in one
 * write with the headers, or as two that are read as it sends. Both must stay
 * until the request has ended, b too.
 */
void fetch_body_set(
    struct fetch_body *b, CURL *e, const struct fetch_spec *spec);

/* When the handle knows nothing of it any more. */
void fetch_body_fini(struct fetch_body *b);

#endif
