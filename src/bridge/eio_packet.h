/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_EIO_PACKET_H
#define BRIDGE_EIO_PACKET_H

#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * Packets of Engine.IO, protocol 4: a byte that says what it is, and data.
 * By WebSocket a frame is one; by polling a body is several with EIO_SEPARATOR
 * between them.
 */
#define EIO_SEPARATOR 0x1e
#define EIO_PROTOCOL "4"   /* the query's EIO */
#define EIO_PACKETS_MAX 16 /* of a body: python-engineio takes no more */

enum eio_type {
	EIO_OPEN,
	EIO_CLOSE,
	EIO_PING,
	EIO_PONG,
	EIO_MESSAGE,
	EIO_UPGRADE,
	EIO_NOOP,
	EIO_BINARY /* a message of bytes: b and base64, which is not decoded */
};

/* data points into what was read; no 0 byte follows. */
struct eio_packet {
	enum eio_type type;
	const char *data;
	size_t len;
};

/* One packet of len bytes. 0, or -1: it is none. */
int eio_read(const char *text, size_t len, struct eio_packet *out);

/* Reads packets of a polling body one after the other; it must stay. */
struct eio_payload {
	const char *text;
	size_t len;
	int over;
};

/* 1 and the next packet, 0 at the end, -1: what comes is no packet. */
int eio_payload_next(struct eio_payload *p, struct eio_packet *out);

/* What the first packet of a connection says. */
struct eio_open {
	const char *sid;
	int upgrades; /* to WebSocket is possible */
	int64_t ping_interval_ms, ping_timeout_ms;
	int64_t max_payload_bytes;
};

/* Each appends a packet; between several the separator is the caller's. */
void eio_put(struct buf *b, enum eio_type type, const char *data, size_t len);
void eio_put_open(struct buf *b, const struct eio_open *o);

#endif
