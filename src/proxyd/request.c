/* SPDX-License-Identifier: MIT */
/*
 * Requests of commands. What two readers could understand in two ways is
 * refused: bare CR or LF, folded lines, a length that is said twice. So what
 * the origin reads is what was looked at here.
 */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/err.h"
#include "proxyd/request.h"

#define LENGTH_DIGITS_MAX 18
#define HTTP_PORT 80

/* Some of the input. */
struct span {
	const char *p;
	size_t len;
};

static const char scheme[] = "http://";
#define SCHEME_CHARS (sizeof(scheme) - 1)

/* ---- words ---- */

static int
is_token(struct span s)
{
	static const char more[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.p[i]) &&
		    memchr(more, s.p[i], sizeof(more) - 1) == NULL)
			return 0;
	return s.len > 0;
}

static int
is_word(struct span s, const char *word)
{
	return strlen(word) == s.len && strncasecmp(s.p, word, s.len) == 0;
}

static struct span
trim(struct span s)
{
	while (s.len > 0 && (*s.p == ' ' || *s.p == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* What stands before the first c, which is taken too. 0: there is none. */
static int
cut(struct span *s, const char *c, struct span *out)
{
	size_t n = strlen(c);
	const char *at = memmem(s->p, s->len, c, n);

	if (at == NULL)
		return 0;
	*out = (struct span){ s->p, (size_t)(at - s->p) };
	s->len -= out->len + n;
	s->p = at + n;
	return 1;
}

/* No control characters but tabs, CR only before LF, LF only behind CR. */
static int
is_clean(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '\r'   ? i + 1 == s.len || s.p[i + 1] != '\n'
		    : c == '\n' ? i == 0 || s.p[i - 1] != '\r'
				: (c < ' ' && c != '\t') || c == 0x7f)
			return 0;
	}
	return 1;
}

/* ---- headers ---- */

struct header {
	struct span name, value;
};

/* The next of the lines. 1, 0 at the end, -1 it is none. */
static int
next_header(struct span *lines, struct header *h)
{
	struct span line;

	if (!cut(lines, "\r\n", &line) || line.len == 0)
		return 0;
	if (!cut(&line, ":", &h->name) || !is_token(h->name))
		return -1;
	h->value = trim(line);
	return 1;
}

/* 1 if a Connection header names it: it is for us alone. */
static int
is_named(struct span lines, struct span name)
{
	struct header h;
	struct span word;

	while (next_header(&lines, &h) > 0) {
		if (!is_word(h.name, "connection"))
			continue;
		while (cut(&h.value, ",", &word))
			if (trim(word).len == name.len &&
			    strncasecmp(trim(word).p, name.p, name.len) == 0)
				return 1;
		if (trim(h.value).len == name.len &&
		    strncasecmp(trim(h.value).p, name.p, name.len) == 0)
			return 1;
	}
	return 0;
}

static int
is_hop_by_hop(struct span name)
{
	static const char *const names[] = { "connection", "proxy-connection",
		"keep-alive", "proxy-authenticate", "proxy-authorization", "te",
		"trailer", "upgrade", "host" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (is_word(name, names[i]))
			return 1;
	return 0;
}

static int
read_length(struct request *rq, struct span value, struct err *err)
{
	int64_t n = 0;

	if (rq->body_bytes >= 0 || value.len == 0 ||
	    value.len > LENGTH_DIGITS_MAX)
		return err_set(err, ERR_REQUEST, "Content-Length is no good");
	for (size_t i = 0; i < value.len; i++) {
		if (!isdigit((unsigned char)value.p[i]))
			return err_set(
			    err, ERR_REQUEST, "Content-Length is no number");
		n = n * 10 + value.p[i] - '0';
	}
	rq->body_bytes = n;
	return 0;
}

/* Those of lines that are for the origin go to its head. */
static int
take_headers(struct request *rq, struct span lines, struct err *err)
{
	struct span rest = lines;
	struct header h;
	int rc, count = 0;

	rq->body_bytes = -1;
	while ((rc = next_header(&rest, &h)) > 0) {
		if (++count > REQUEST_HEADERS_MAX)
			return err_set(err, ERR_TOO_LARGE,
			    "more than %d headers", REQUEST_HEADERS_MAX);
		if (is_word(h.name, "transfer-encoding"))
			return err_set(err, ERR_INVALID,
			    "a request to http:// has a Content-Length or no "
			    "body here; Transfer-Encoding is not taken");
		if (is_word(h.name, "content-length")) {
			if (read_length(rq, h.value, err) < 0)
				return -1;
		} else if (is_hop_by_hop(h.name) || is_named(lines, h.name)) {
			continue;
		}
		buf_add(&rq->head, h.name.p, h.name.len);
		buf_lit(&rq->head, ": ");
		buf_add(&rq->head, h.value.p, h.value.len);
		buf_lit(&rq->head, "\r\n");
	}
	if (rc < 0)
		return err_set(err, ERR_REQUEST, "a header is no good");
	if (rq->body_bytes < 0)
		rq->body_bytes = 0;
	return 0;
}

/* ---- the request line ---- */

static int
read_tunnel(struct request *rq, struct span target, struct err *err)
{
	if (host_read(target.p, target.len, &rq->to) == 0 && rq->to.port != 0)
		return 0;
	return err_set(err, ERR_REQUEST, "CONNECT wants HOST:PORT");
}

static int
has_scheme(struct span target)
{
	return target.len > SCHEME_CHARS &&
	       strncasecmp(target.p, scheme, SCHEME_CHARS) == 0;
}

/* http://HOST[:PORT][/PATH][?QUERY]: the origin gets what is behind HOST. */
static int
read_url(struct request *rq, struct span method, struct span target,
    struct span version, struct err *err)
{
	struct span host = { target.p + SCHEME_CHARS,
		target.len - SCHEME_CHARS };
	struct span path = host;

	if (memchr(target.p, '#', target.len) != NULL)
		return err_set(err, ERR_REQUEST, "a request has no #");
	while (path.len > 0 && *path.p != '/' && *path.p != '?') {
		path.p++;
		path.len--;
	}
	host.len -= path.len;
	if (host_read(host.p, host.len, &rq->to) < 0)
		return err_set(err, ERR_REQUEST, "the URL has no good host");
	if (rq->to.port == 0)
		rq->to.port = HTTP_PORT;
	buf_add(&rq->head, method.p, method.len);
	buf_puts(&rq->head, path.len > 0 && *path.p == '/' ? " " : " /");
	buf_add(&rq->head, path.p, path.len);
	buf_printf(&rq->head, " %.*s\r\nHost: %.*s\r\n", (int)version.len,
	    version.p, (int)host.len, host.p);
	return 0;
}

static int
read_head(struct request *rq, struct span head, struct err *err)
{
	struct span line, method, target;

	if (!is_clean(head) || !cut(&head, "\r\n", &line) ||
	    !cut(&line, " ", &method) || !is_token(method) ||
	    !cut(&line, " ", &target) || target.len == 0 ||
	    (!is_word(line, "HTTP/1.1") && !is_word(line, "HTTP/1.0")))
		return err_set(err, ERR_REQUEST, "this is no HTTP request");
	rq->is_tunnel = method.len == 7 && memcmp(method.p, "CONNECT", 7) == 0;
	if (rq->is_tunnel)
		return read_tunnel(rq, target, err);
	if (!has_scheme(target))
		return err_set(err, ERR_REQUEST,
		    "this is a proxy: it takes CONNECT HOST:PORT, and http:// "
		    "URLs");
	if (read_url(rq, method, target, line, err) < 0 ||
	    take_headers(rq, head, err) < 0)
		return -1;
	buf_lit(&rq->head, "Connection: close\r\n\r\n");
	return 0;
}

int
request_read(struct arena *a, const char *p, size_t len, struct request *out,
    struct err *err)
{
	size_t seen = len < REQUEST_HEAD_MAX ? len : REQUEST_HEAD_MAX;
	const char *end;

	memset(out, 0, sizeof(*out));
	buf_init(&out->head, a);
	if (len == 0)
		return 0;
	end = memmem(p, seen, "\r\n\r\n", 4);
	if (!is_token((struct span){ p, 1 }))
		return err_set(err, ERR_REQUEST, "this is no HTTP request");
	if (end == NULL && seen == REQUEST_HEAD_MAX)
		return err_set(err, ERR_TOO_LARGE,
		    "the head of the request is longer than %d bytes",
		    REQUEST_HEAD_MAX);
	if (end == NULL)
		return 0;
	out->head_bytes = (size_t)(end - p) + 4;
	return read_head(out, (struct span){ p, out->head_bytes }, err) < 0 ? -1
									    : 1;
}
