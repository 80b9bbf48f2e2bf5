/* SPDX-License-Identifier: MIT */
/*
 * Packets of Engine.IO 4, read and written. No state and no socket: what a
 * packet does is eio_session.c's.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "bridge/eio_packet.h"

static const char types[] = "0123456b";

int
eio_read(const char *text, size_t len, struct eio_packet *out)
{
	const char *at = len == 0 ? NULL : memchr(types, *text, EIO_BINARY + 1);

	if (at == NULL)
		return -1;
	out->type = (enum eio_type)(at - types);
	out->data = text + 1;
	out->len = len - 1;
	return 0;
}

int
eio_payload_next(struct eio_payload *p, struct eio_packet *out)
{
	const char *end;
	size_t n;

	if (p->over)
		return 0;
	end = p->len == 0 ? NULL : memchr(p->text, EIO_SEPARATOR, p->len);
	n = end == NULL ? p->len : (size_t)(end - p->text);
	p->over = end == NULL;
	if (eio_read(p->text, n, out) < 0)
		return -1;
	if (end != NULL) {
		p->len -= n + 1;
		p->text = end + 1;
	}
	return 1;
}

void
eio_put(struct buf *b, enum eio_type type, const char *data, size_t len)
{
	buf_putc(b, types[type]);
	buf_add(b, data, len);
}

void
eio_put_open(struct buf *b, const struct eio_open *o)
{
	buf_putc(b, types[EIO_OPEN]);
	buf_putc(b, '{');
	json_add_str(b, "sid", o->sid);
	json_open(b, "upgrades", '[');
	if (o->upgrades)
		json_add_str(b, NULL, "websocket");
	json_close(b, ']');
	json_add_int(b, "pingInterval", o->ping_interval_ms);
	json_add_int(b, "pingTimeout", o->ping_timeout_ms);
	json_add_int(b, "maxPayload", o->max_payload_bytes);
	json_close(b, '}');
}
