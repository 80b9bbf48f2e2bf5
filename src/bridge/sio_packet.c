/* SPDX-License-Identifier: MIT */
/*
 * Packets of Socket.IO 5, read and written, as socket.io-parser 4.2 does; the
 * JSON in them is read more strictly (base/json.h). Pure functions.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/words.h"
#include "bridge/eio_packet.h"
#include "bridge/sio_packet.h"

#define NAMESPACE_MAX 128
#define ACK_DIGITS 15 /* what a JavaScript number holds exactly */

/* Names that mean something to the library at the other end. */
static const char *const reserved[] = { "connect", "connect_error",
	"disconnect", "disconnecting", "newListener", "removeListener", NULL };

struct cursor {
	const char *p, *end;
};

static int
is_digit(const struct cursor *c)
{
	return c->p < c->end && *c->p >= '0' && *c->p <= '9';
}

/* A number of at most max_digits digits; -1: it has more, or none. */
static int64_t
read_number(struct cursor *c, int max_digits)
{
	int64_t v = 0;
	int n = 0;

	for (; is_digit(c); c->p++, n++) {
		if (n == max_digits)
			return -1;
		v = v * 10 + (*c->p - '0');
	}
	return n == 0 ? -1 : v;
}

static int
is_binary(enum sio_type type)
{
	return type == SIO_BINARY_EVENT || type == SIO_BINARY_ACK;
}

static int
read_attachments(struct cursor *c, struct sio_packet *out, struct err *err)
{
	int64_t n = read_number(c, 3);

	if (n < 0 || c->p == c->end || *c->p != '-')
		return err_set(err, ERR_REQUEST, "illegal attachments");
	if (n > SIO_ATTACHMENTS_MAX)
		return err_set(err, ERR_REQUEST, "more than %d attachments",
		    SIO_ATTACHMENTS_MAX);
	c->p++;
	out->attachments = (int)n;
	return 0;
}

/* It is sent back to whoever names one that there is not: so it is short, and
 * a text. */
static int
read_namespace(
    struct arena *a, struct cursor *c, struct sio_packet *out, struct err *err)
{
	const char *start = c->p;
	size_t n;

	out->nsp = "/";
	if (c->p == c->end || *c->p != '/')
		return 0;
	while (c->p < c->end && *c->p != ',')
		c->p++;
	n = (size_t)(c->p - start);
	if (n > NAMESPACE_MAX || memchr(start, '\0', n) != NULL ||
	    json_utf8_whole(start, n) != n)
		return err_set(err, ERR_REQUEST, "no namespace");
	out->nsp = arena_memdup(a, start, n);
	if (c->p < c->end)
		c->p++;
	return 0;
}

static int
event_is_good(struct sio_packet *out)
{
	const struct json *name = json_first(out->data);

	out->event = json_str(name);
	if (out->event != NULL)
		return !words_list_has(reserved, out->event);
	out->event = "";
	return json_is(name, JSON_NUMBER);
}

/* 1 if the packet may carry what it does. */
static int
payload_is_good(struct sio_packet *out)
{
	const struct json *j = out->data;

	switch (out->type) {
	case SIO_CONNECT:
		return j == NULL || json_is(j, JSON_OBJECT);
	case SIO_DISCONNECT:
		return j == NULL;
	case SIO_CONNECT_ERROR:
		return j == NULL || json_is(j, JSON_OBJECT) ||
		       json_is(j, JSON_STRING);
	case SIO_EVENT:
	case SIO_BINARY_EVENT:
		return json_is(j, JSON_ARRAY) && event_is_good(out);
	case SIO_ACK:
	case SIO_BINARY_ACK:
		return json_is(j, JSON_ARRAY);
	}
	return 0;
}

int
sio_read(struct arena *a, const char *text, size_t len, struct sio_packet *out,
    struct err *err)
{
	struct cursor c = { text, text + len };

	*out = (struct sio_packet){ .ack = -1, .event = "" };
	if (len == 0 || *text < '0' || *text > '0' + SIO_BINARY_ACK)
		return err_set(err, ERR_REQUEST, "unknown packet type");
	out->type = (enum sio_type)(*c.p++ - '0');
	if (is_binary(out->type) && read_attachments(&c, out, err) < 0)
		return -1;
	if (read_namespace(a, &c, out, err) < 0)
		return -1;
	if (is_digit(&c) && (out->ack = read_number(&c, ACK_DIGITS)) < 0)
		return err_set(err, ERR_REQUEST, "the ack id is too long");
	if (c.p < c.end) {
		out->data =
		    json_parse(a, c.p, (size_t)(c.end - c.p), SIO_DEPTH, err);
		if (out->data == NULL)
			return -1;
	}
	if (!payload_is_good(out))
		return err_set(err, ERR_REQUEST, "invalid payload");
	return 0;
}

static void
put_type(struct buf *b, enum sio_type type)
{
	char c = (char)('0' + (int)type);

	eio_put(b, EIO_MESSAGE, &c, 1);
}

void
sio_put_connect(struct buf *b, const char *sid)
{
	put_type(b, SIO_CONNECT);
	buf_putc(b, '{');
	json_add_str(b, "sid", sid);
	json_close(b, '}');
}

void
sio_put_connect_error(struct buf *b, const char *nsp, const char *message)
{
	put_type(b, SIO_CONNECT_ERROR);
	if (strcmp(nsp, "/") != 0)
		buf_printf(b, "%s,", nsp);
	buf_putc(b, '{');
	json_add_str(b, "message", message);
	json_close(b, '}');
}

void
sio_put_disconnect(struct buf *b)
{
	put_type(b, SIO_DISCONNECT);
}

void
sio_put_event(struct buf *b, const char *name, const char *args, size_t len)
{
	put_type(b, SIO_EVENT);
	buf_putc(b, '[');
	json_add_str(b, NULL, name);
	if (len > 0)
		json_add_raw(b, NULL, args, len);
	json_close(b, ']');
}

void
sio_put_ack(struct buf *b, int64_t id, const char *args, size_t len)
{
	put_type(b, SIO_ACK);
	buf_printf(b, "%" PRId64 "[", id);
	buf_add(b, args, len);
	buf_putc(b, ']');
}
