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
