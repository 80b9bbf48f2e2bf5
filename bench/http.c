/* SPDX-License-Identifier: MIT */
/*
 * A reader of HTTP/1.x messages that takes bytes as they come and stops at
 * the end of one message, so that pipelined requests stay apart. Each part of
 * a message has one function in a table; it takes what is its own and says
 * which part follows. Framing only: what a header means beyond the length of
 * the body is the caller's. Both ends of a benchmark use it, so a mistake here
 * would show as errors, not as good figures: a message that is cut never
 * reaches HTTP_DONE.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http.h"

#define HTTP_BODY_MAX ((uint64_t)1 << 40)

typedef ssize_t http_part_f(
    struct http *, const char *, size_t, http_body_f *, void *);

void
http_reset(struct http *h, int request)
{
	struct buf head = h->head;

	memset(h, 0, sizeof(*h));
	h->head = head;
	buf_clear(&h->head);
	h->request = request;
}

void
http_fini(struct http *h)
{
	buf_fini(&h->head);
}

const char *
http_header(const struct http *h, const char *name, size_t *len_r)
{
	size_t len = strlen(name);
	const char *p = buf_str(&h->head);
	const char *eol;

	while ((p = strchr(p, '\n')) != NULL) {
		p++;
		if (strncasecmp(p, name, len) != 0 || p[len] != ':')
			continue;
		p += len + 1;
		p += strspn(p, " \t");
		eol = p + strcspn(p, "\r\n");
		*len_r = (size_t)(eol - p);
		return p;
	}
	return NULL;
}

/* 1 if the header is there and its value begins with the word. */
static int
http_header_is(const struct http *h, const char *name, const char *word)
{
	size_t len;
	const char *v = http_header(h, name, &len);

	return v != NULL && len >= strlen(word) &&
	       strncasecmp(v, word, strlen(word)) == 0;
}

/* What follows the header: RFC 9112 section 6.3. 0 or -1. */
static int
http_frame(struct http *h)
{
	size_t len;
	const char *v;

	if (http_header_is(h, "transfer-encoding", "chunked")) {
		h->part = HTTP_SIZE;
		return 0;
	}
	v = http_header(h, "content-length", &len);
	if (v != NULL) {
		h->left = strtoull(v, NULL, 10);
		if (len == 0 || h->left > HTTP_BODY_MAX)
			return -1;
		h->part = h->left > 0 ? HTTP_LENGTH : HTTP_DONE;
	} else if (h->request || h->status == 204 || h->status == 304) {
		h->part = HTTP_DONE;
	} else {
		h->part = HTTP_UNTIL_EOF;
		h->keep = 0;
	}
	return 0;
}

/* The header is whole. 0 or -1. */
static int
http_head_done(struct http *h)
{
	const char *version = buf_str(&h->head);
	int minor;

	if (h->request) {
		version = strstr(version, " HTTP/1.");
		if (version++ == NULL)
			return -1;
	} else if (sscanf(version, "HTTP/1.%*1d %3d", &h->status) != 1) {
		return -1;
	}
	if (sscanf(version, "HTTP/1.%1d", &minor) != 1)
		return -1;
	h->keep = minor == 1 ? !http_header_is(h, "connection", "close")
			     : http_header_is(h, "connection", "keep-alive");
	h->expect = http_header_is(h, "expect", "100-continue");
	return http_frame(h);
}

static ssize_t
http_part_head(
    struct http *h, const char *p, size_t len, http_body_f *fn, void *arg)
{
	size_t before = h->head.len;
	size_t from = before > 3 ? before - 3 : 0;
	const char *end;

	(void)fn;
	(void)arg;
	buf_add(&h->head, p, len);
	end = memmem(h->head.data + from, h->head.len - from, "\r\n\r\n", 4);
	if (end == NULL)
		return h->head.len > HTTP_HEAD_MAX ? -1 : (ssize_t)len;
	h->head.len = (size_t)(end - h->head.data) + 4;
	h->head.data[h->head.len] = '\0';
	if (h->head.len > HTTP_HEAD_MAX || http_head_done(h) < 0)
		return -1;
	return (ssize_t)(h->head.len - before);
}

static ssize_t
http_part_data(
    struct http *h, const char *p, size_t len, http_body_f *fn, void *arg)
{
	if (h->part == HTTP_UNTIL_EOF)
		return fn(arg, p, len) < 0 ? -1 : (ssize_t)len;
	if (len > h->left)
		len = (size_t)h->left;
	if (fn(arg, p, len) < 0)
		return -1;
	h->left -= len;
	if (h->left == 0)
		h->part = h->part == HTTP_CHUNK ? HTTP_CHUNK_END : HTTP_DONE;
	return (ssize_t)len;
}

static int
http_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static ssize_t
http_part_size(
    struct http *h, const char *p, size_t len, http_body_f *fn, void *arg)
{
	size_t i;
	int digit;

	(void)fn;
	(void)arg;
	for (i = 0; i < len && p[i] != '\n'; i++) {
		digit = h->digits < 0 ? -1 : http_hex(p[i]);
		if (digit < 0 && h->digits == 0)
			return -1;
		h->digits = digit < 0 ? -1 : h->digits + 1;
		if (digit >= 0)
			h->left = h->left * 16 + (unsigned)digit;
		if (h->left > HTTP_BODY_MAX)
			return -1;
	}
	if (i == len)
		return (ssize_t)i;
	if (h->digits == 0)
		return -1;
	h->digits = 0;
	h->part = h->left > 0 ? HTTP_CHUNK : HTTP_TRAILER;
	return (ssize_t)i + 1;
}

static ssize_t
http_part_chunk_end(
    struct http *h, const char *p, size_t len, http_body_f *fn, void *arg)
{
	(void)len;
	(void)fn;
	(void)arg;
	if (*p == '\n')
		h->part = HTTP_SIZE;
	else if (*p != '\r')
		return -1;
	return 1;
}

/* Lines until an empty one; left counts what this line has so far. */
static ssize_t
http_part_trailer(
    struct http *h, const char *p, size_t len, http_body_f *fn, void *arg)
{
	(void)len;
	(void)fn;
	(void)arg;
	if (*p == '\n' && h->left == 0)
		h->part = HTTP_DONE;
	else if (*p == '\n')
		h->left = 0;
	else if (*p != '\r' && ++h->left > HTTP_HEAD_MAX)
		return -1;
	return 1;
}

static http_part_f *const http_parts[HTTP_DONE] = {
	[HTTP_HEAD] = http_part_head,
	[HTTP_LENGTH] = http_part_data,
	[HTTP_UNTIL_EOF] = http_part_data,
	[HTTP_SIZE] = http_part_size,
	[HTTP_CHUNK] = http_part_data,
	[HTTP_CHUNK_END] = http_part_chunk_end,
	[HTTP_TRAILER] = http_part_trailer,
};

ssize_t
http_feed(struct http *h, const char *p, size_t len, http_body_f *fn, void *arg)
{
	size_t used = 0;
	ssize_t n;

	while (used < len && h->part != HTTP_DONE) {
		n = http_parts[h->part](h, p + used, len - used, fn, arg);
		if (n < 0)
			return -1;
		used += (size_t)n;
	}
	return (ssize_t)used;
}
