/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_SIO_PACKET_H
#define BRIDGE_SIO_PACKET_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct err;
struct json;

/*
 * Packets of Socket.IO, protocol 5, which messages of Engine.IO carry:
 *
 *	TYPE [ATTACHMENTS -] [/NAMESPACE ,] [ACK] [JSON]
 */
enum sio_type {
	SIO_CONNECT,
	SIO_DISCONNECT,
	SIO_EVENT,
	SIO_ACK,
	SIO_CONNECT_ERROR,
	SIO_BINARY_EVENT,
	SIO_BINARY_ACK
};

#define SIO_ATTACHMENTS_MAX 10
#define SIO_DEPTH 32

struct sio_packet {
	enum sio_type type;
	const char *nsp; /* "/" if it names none */
	int attachments; /* binary packets that follow; of others 0 */
	int64_t ack;     /* -1: it has none */
	/* What it carries: of a CONNECT an object or NULL, of a
	 * CONNECT_ERROR an object, a text or NULL, of events and acks an
	 * array. */
	const struct json *data;
	/* Of an event: its name; "" if that is a number. */
	const char *event;
};

/*
 * Reads the len bytes behind an Engine.IO message's first. All of it is the
 * arena's. 0, or -1 and ERR_REQUEST: no packet that a client may send.
 */
int sio_read(struct arena *a, const char *text, size_t len,
    struct sio_packet *out, struct err *err);

/*
 * Each appends a packet with the 4 of its Engine.IO message. args and json
 * are JSON already: values with commas between them.
 */
void sio_put_connect(struct buf *b, const char *sid);
void sio_put_connect_error(struct buf *b, const char *nsp, const char *message);
void sio_put_disconnect(struct buf *b);
void sio_put_event(
    struct buf *b, const char *name, const char *args, size_t len);
void sio_put_ack(struct buf *b, int64_t id, const char *args, size_t len);

#endif
