/* SPDX-License-Identifier: MIT */
/* FastCGI records, from the structs of <fastcgi.h>. */
#include "config.h"

#include <fastcgi.h>
#include <string.h>

#include "base/buf.h"
#include "http/fcgi.h"

static void
put_header(struct buf *b, int type, int request_id, size_t len)
{
	FCGI_Header h = {
		.version = FCGI_VERSION_1,
		.type = (unsigned char)type,
		.requestIdB1 = (unsigned char)(request_id >> 8),
		.requestIdB0 = (unsigned char)request_id,
		.contentLengthB1 = (unsigned char)(len >> 8),
		.contentLengthB0 = (unsigned char)len,
	};

	buf_add(b, &h, sizeof(h));
}

void
fcgi_put_stdout(struct buf *b, int request_id, const void *data, size_t len)
{
	const char *p = data;
	size_t n;

	for (; len > 0; p += n, len -= n) {
		n = len < FCGI_MAX_LENGTH ? len : FCGI_MAX_LENGTH;
		put_header(b, FCGI_STDOUT, request_id, n);
		buf_add(b, p, n);
	}
}

void
fcgi_put_end(struct buf *b, int request_id)
{
	FCGI_EndRequestBody body = { .protocolStatus = FCGI_REQUEST_COMPLETE };

	put_header(b, FCGI_STDOUT, request_id, 0);
	put_header(b, FCGI_END_REQUEST, request_id, sizeof(body));
	buf_add(b, &body, sizeof(body));
}

/* A length of a name or value: one byte, or four with the highest bit set. */
static void
put_length(struct buf *b, size_t n)
{
	const unsigned char four[4] = { (unsigned char)(n >> 24 | 0x80),
		(unsigned char)(n >> 16), (unsigned char)(n >> 8),
		(unsigned char)n };

	if (n < 128)
		buf_putc(b, (char)n);
	else
		buf_add(b, four, sizeof(four));
}

void
fcgi_put_param(struct buf *params, const char *name, const char *value)
{
	put_length(params, strlen(name));
	put_length(params, strlen(value));
	buf_puts(params, name);
	buf_puts(params, value);
}

void
fcgi_put_request(struct buf *b, int request_id, const struct buf *params,
    const void *body, size_t len)
{
	FCGI_BeginRequestBody begin = { .roleB0 = FCGI_RESPONDER };
	const char *p = body;
	size_t n;

	put_header(b, FCGI_BEGIN_REQUEST, request_id, sizeof(begin));
	buf_add(b, &begin, sizeof(begin));
	put_header(b, FCGI_PARAMS, request_id, params->len);
	buf_add(b, params->data, params->len);
	put_header(b, FCGI_PARAMS, request_id, 0);
	for (; len > 0; p += n, len -= n) {
		n = len < FCGI_MAX_LENGTH ? len : FCGI_MAX_LENGTH;
		put_header(b, FCGI_STDIN, request_id, n);
		buf_add(b, p, n);
	}
	put_header(b, FCGI_STDIN, request_id, 0);
}

int
fcgi_read(const char *p, size_t len, struct fcgi_record *out)
{
	FCGI_Header h;

	if (len > 0 && *p != FCGI_VERSION_1)
		return -1;
	if (len < sizeof(h))
		return 0;
	memcpy(&h, p, sizeof(h));
	out->kind = h.type == FCGI_STDOUT        ? FCGI_KIND_STDOUT
		    : h.type == FCGI_END_REQUEST ? FCGI_KIND_END
						 : FCGI_KIND_OTHER;
	out->request_id = h.requestIdB1 << 8 | h.requestIdB0;
	out->len = (size_t)(h.contentLengthB1 << 8 | h.contentLengthB0);
	out->data = p + sizeof(h);
	out->size = sizeof(h) + out->len + h.paddingLength;
	return len >= out->size;
}
