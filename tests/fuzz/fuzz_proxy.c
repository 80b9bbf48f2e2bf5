/* SPDX-License-Identifier: MIT */
/*
 * What a command sends to agent-fpm-proxy. Any bytes as a request: whole, and
 * up to each of its ends, it is the same request or the same error; what the
 * origin would get is one request, for the host that was looked at, and reads
 * as itself. Its lines as hosts: one that is read is read again as the same.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/err.h"
#include "proxyd/request.h"
#include "sandbox/hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int ok)
{
	if (!ok)
		abort();
}

static size_t
count(const char *p, size_t len, const char *word)
{
	size_t n = 0, k = strlen(word);

	for (size_t i = 0; i + k <= len; i++)
		n += strncasecmp(p + i, word, k) == 0;
	return n;
}

/* One head, with one Host, and nothing that is for the proxy alone. */
static void
check_head(const struct buf *head)
{
	const char *p = head->data;

	must(head->len > 4 && count(p, head->len, "\r\n\r\n") == 1);
	must(memcmp(p + head->len - 4, "\r\n\r\n", 4) == 0);
	must(count(p, head->len, "\r\nhost:") == 1);
	must(count(p, head->len, "\r\nconnection:") == 1);
	must(count(p, head->len, "\r\ncontent-length:") <= 1);
	must(count(p, head->len, "\r\ntransfer-encoding:") == 0);
	must(count(p, head->len, "\r\nproxy-authorization:") == 0);
	must(memchr(p, '\0', head->len) == NULL);
}

/* Without what follows the head, and without its last byte. */
static void
check_ends(struct arena *a, const char *p, const struct request *rq)
{
	struct request again;

	must(request_read(a, p, rq->head_bytes, &again, NULL) == 1);
	must(memcmp(&again.to, &rq->to, sizeof(rq->to)) == 0);
	must(again.body_bytes == rq->body_bytes);
	must(again.head.len == rq->head.len &&
	     (rq->head.len == 0 ||
		 memcmp(again.head.data, rq->head.data, rq->head.len) == 0));
	must(request_read(a, p, rq->head_bytes - 1, &again, NULL) == 0);
}

static void
check_request(struct arena *a, const char *p, size_t len)
{
	struct request rq;
	struct err err;
	int rc = request_read(a, p, len, &rq, &err);

	if (rc <= 0) {
		must(rc == 0 || err.code == ERR_REQUEST ||
		     err.code == ERR_TOO_LARGE || err.code == ERR_INVALID);
		must(rc < 0 || len < REQUEST_HEAD_MAX);
		return;
	}
	must(rq.head_bytes <= len && rq.head_bytes <= REQUEST_HEAD_MAX);
	must(rq.to.port >= 1 && rq.to.port <= 65535);
	must(rq.body_bytes >= 0);
	if (!rq.is_tunnel)
		check_head(&rq.head);
	check_ends(a, p, &rq);
}

static void
check_host(const char *line)
{
	struct host host, again;

	if (host_read(line, strlen(line), &host) < 0)
		return;
	must(host.port >= 0 && host.port <= 65535 && host.name[0] != '\0');
	must(strpbrk(host.name, "/@%#?[] \t\r\n") == NULL);
	if (strchr(host.name, ':') != NULL)
		return; /* it was in brackets */
	must(host_read(host.name, strlen(host.name), &again) == 0);
	must(strcmp(host.name, again.name) == 0 &&
	     host.is_address == again.is_address);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_open(4096);
	char *text = arena_memdup(a, data, size), *next;

	check_request(a, text, size);
	for (char *line = text; line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		check_host(line);
	}
	arena_close(&a);
	return 0;
}
