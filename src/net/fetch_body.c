/* SPDX-License-Identifier: MIT */
/* What a request carries, handed to curl. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/fetch.h"
#include "net/fetch_body.h"

#define SENT_AT_ONCE_BYTES (64 << 10) /* curl: with the headers, in a write */

/* A large body of two pieces, so that nobody has to put them together. */
static size_t
on_read(char *to, size_t size, size_t n, void *arg)
{
	struct fetch_body *b = arg;
	size_t room = size * n, done = 0, at, part;

	for (int i = 0; i < 2; i++) {
		at = b->read - (i == 0 ? 0 : b->piece[0].len);
		if (at >= b->piece[i].len)
			continue;
		part = b->piece[i].len - at;
		if (part > room - done)
			part = room - done;
		memcpy(to + done, b->piece[i].data + at, part);
		done += part;
		b->read += part;
	}
	return done;
}

/* Before it is sent once more. */
static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct fetch_body *b = arg;

	if (origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	b->read = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* A body in one piece, or NULL: the two are too much to be copied. */
static const char *
body_whole(struct fetch_body *b, const struct fetch_spec *spec)
{
	if (spec->head_len == 0)
		return spec->body;
	if (spec->head_len + spec->body_len >= SENT_AT_ONCE_BYTES)
		return NULL;
	b->joined = malloc(spec->head_len + spec->body_len);
	if (b->joined == NULL)
		abort();
	memcpy(b->joined, spec->head, spec->head_len);
	if (spec->body_len > 0)
		memcpy(b->joined + spec->head_len, spec->body, spec->body_len);
	return b->joined;
}

void
fetch_body_set(struct fetch_body *b, CURL *e, const struct fetch_spec *spec)
{
	const char *whole = body_whole(b, spec);

	curl_easy_setopt(e, CURLOPT_POST, 1L);
	curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
	    (curl_off_t)(spec->head_len + spec->body_len));
	if (whole != NULL) {
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, whole);
		return;
	}
	b->piece[0] = (struct fetch_piece){ spec->head, spec->head_len };
	b->piece[1] = (struct fetch_piece){ spec->body, spec->body_len };
	curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(e, CURLOPT_READDATA, b);
	curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(e, CURLOPT_SEEKDATA, b);
}

void
fetch_body_fini(struct fetch_body *b)
{
	free(b->joined);
	b->joined = NULL;
}
