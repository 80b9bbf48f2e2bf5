/* SPDX-License-Identifier: MIT */
/*
 * Requests, as libfcgi reads them. The only files that see libfcgi are this
 * one, response.c and accept.c.
 */
#include "config.h"

#include <fcgiapp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/id.h"
#include "http/request.h"

#define ID_MAX 64

static const char *
param(const struct http_request *rq, const char *name, const char *missing)
{
	const char *v = FCGX_GetParam(name, rq->fcgi->envp);

	return v == NULL ? missing : v;
}

/* A parameter that outlives what libfcgi frees: see http_detach. */
static const char *
param_kept(const struct http_request *rq, const char *name)
{
	return arena_strdup(rq->arena, param(rq, name, ""));
}

const char *
http_header(const struct http_request *rq, const char *name)
{
	return FCGX_GetParam(name, rq->fcgi->envp);
}

/* nginx's id if it looks like one, else a new one. */
static const char *
request_id(const struct http_request *rq)
{
	static const char good[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
	const char *id = param(rq, "REQUEST_ID", "");
	size_t n = strlen(id);
	char *own;

	if (n > 0 && n <= ID_MAX && strspn(id, good) == n)
		return arena_strdup(rq->arena, id);
	own = arena_alloc(rq->arena, ID_SIZE);
	id_make(own, "req_");
	return own;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %XX and, in a query, + undone. NULL if it is malformed or holds %00. */
static char *
url_decode(struct arena *a, const char *s, size_t len, int plus)
{
	char *out = arena_alloc(a, len + 1), *p = out;
	int hi, lo;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '+' && plus) {
			*p++ = ' ';
		} else if (s[i] != '%') {
			*p++ = s[i];
		} else {
			if (i + 2 >= len)
				return NULL;
			hi = hex_value(s[i + 1]);
			lo = hex_value(s[i + 2]);
			if (hi < 0 || lo < 0 || (hi | lo) == 0)
				return NULL;
			*p++ = (char)(hi << 4 | lo);
			i += 2;
		}
	}
	*p = '\0';
	return out;
}

void
http_request_init(
    struct http_request *rq, struct arena *a, struct FCGX_Request *fcgi)
{
	const char *uri, *path;

	memset(rq, 0, sizeof(*rq));
	rq->arena = a;
	rq->fcgi = fcgi;
	buf_init(&rq->body, a);
	rq->method = param_kept(rq, "REQUEST_METHOD");
	rq->query = param_kept(rq, "QUERY_STRING");
	rq->id = request_id(rq);
	uri = param(rq, "REQUEST_URI", "");
	path = url_decode(a, uri, strcspn(uri, "?#"), 0);
	rq->path = path == NULL ? "" : path;
}

const char *
http_query(const struct http_request *rq, const char *name)
{
	const char *p = rq->query, *v;
	size_t n = strlen(name), len;

	while (*p != '\0') {
		len = strcspn(p, "&");
		if (len >= n && strncmp(p, name, n) == 0 &&
		    (len == n || p[n] == '=')) {
			n += len > n;
			v = url_decode(rq->arena, p + n, len - n, 1);
			return v == NULL ? "" : v;
		}
		p += len + (p[len] == '&');
	}
	return NULL;
}

int
http_etag_listed(const char *list, const char *etag)
{
	const char *end;
	int weak;

	for (;;) {
		list += strspn(list, ", \t");
		weak = strncmp(list, "W/", 2) == 0;
		list += weak ? 2 : 0;
		if (*list++ != '"' || (end = strchr(list, '"')) == NULL)
			return 0;
		if (!weak && strlen(etag) == (size_t)(end - list) &&
		    memcmp(list, etag, (size_t)(end - list)) == 0)
			return 1;
		list = end + 1;
	}
}

int
http_read_body(struct http_request *rq, size_t max, struct err *err)
{
	const char *length = param(rq, "CONTENT_LENGTH", "");
	size_t want = strtoul(length, NULL, 10);
	char chunk[8192];
	int n;

	if (want > max)
		return err_limit(err, ERR_TOO_LARGE, "limits.body",
		    "the body is larger than %zu bytes", max);
	while ((n = FCGX_GetStr(chunk, sizeof(chunk), rq->fcgi->in)) > 0) {
		if (rq->body.len + (size_t)n > max)
			return err_limit(err, ERR_TOO_LARGE, "limits.body",
			    "the body is larger than %zu bytes", max);
		buf_add(&rq->body, chunk, (size_t)n);
	}
	if (FCGX_GetError(rq->fcgi->in) != 0 || rq->body.len < want)
		return err_set(err, ERR_REQUEST, "the body is cut short");
	return 0;
}

int
http_check_headers(const struct http_request *rq, size_t max, struct err *err)
{
	for (char **e = rq->fcgi->envp; *e != NULL; e++)
		if (strncmp(*e, "HTTP_", 5) == 0 && strlen(*e) > max)
			return err_limit(err, ERR_TOO_LARGE, "limits.header",
			    "a header is longer than %zu bytes", max);
	return 0;
}

void
http_detach(struct http_request *rq, int *fd_r, int *request_id_r)
{
	*fd_r = rq->fcgi->ipcFd;
	*request_id_r = rq->fcgi->requestId;
	/*
	 * libfcgi frees what it has and does not close; but it would use the
	 * descriptor again for the next request, or close it, if it were
	 * still there (tests/unit/test_fcgi.c).
	 */
	FCGX_Free(rq->fcgi, 0);
	rq->fcgi->ipcFd = -1;
	rq->detached = 1;
}

void
http_cut(struct http_request *rq)
{
	static const char no_record[8]; /* of no version */
	int fd, id;

	http_detach(rq, &fd, &id);
	/* nginx takes an end of the connection for the end of the response,
	 * and ends it well; a record that is none makes it give up. */
	send(fd, no_record, sizeof(no_record), MSG_NOSIGNAL);
	close(fd);
}
