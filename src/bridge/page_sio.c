/* SPDX-License-Identifier: MIT */
/*
 * Pages that come by Socket.IO, as AgentBridge's server for NestJS has them.
 *
 * A client that says what it can do (capability) is a page from then on; what
 * it does with sessions it goes on with. Messages are those of dialect B1, as
 * events of their type. Whose it is, until when, whether it is there and how
 * much it may say is the socket's: a page is gone when that is, or has left the
 * namespace.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "bridge/page_priv.h"
#include "bridge/sio.h"

static void
send_event(struct page *p, const char *type, const struct buf *text)
{
	sio_emit(p->socket, type, text->data, text->len);
}

static void
greet(struct page *p)
{
	struct buf b;

	buf_init(&b, NULL);
	json_open(&b, NULL, '{');
	json_add_str(&b, "clientId", p->client);
	json_close(&b, '}');
	send_event(p, "connection", &b);
	buf_fini(&b);
}

/* Engine.IO looks whether it is there. */
static int
beat(struct page *p)
{
	(void)p;
	return 1;
}

static const struct page_way by_socket_io = { greet, send_event, beat };

static const struct {
	const char *event;
	enum page_says says;
} events[] = {
	{ "capability", PAGE_CAPABILITY },
	{ "response", PAGE_RESPONSE },
};

/* 1 and what an event is; 0: it is nothing that pages say. */
static int
read_event(const struct sio_packet *packet, struct page_message *out)
{
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (strcmp(events[i].event, packet->event) == 0) {
			*out = (struct page_message){ .says = events[i].says,
				.type = packet->event,
				.doc = json_next(json_first(packet->data)) };
			return 1;
		}
	return 0;
}

int
page_hub_event(
    struct page_hub *all, struct sio_socket *s, const struct sio_packet *packet)
{
	struct page *p = sio_get(s, SIO_PAGE);
	struct page_message m;

	if (!read_event(packet, &m))
		return 0;
	if (p == NULL && m.says == PAGE_CAPABILITY) {
		p = page_new(all, &by_socket_io);
		p->socket = s;
		sio_set(s, SIO_PAGE, p);
		page_enter(p, sio_user(s));
	}
	if (p != NULL)
		page_take(p, &m);
	return 1;
}

void
page_hub_socket_gone(struct sio_socket *s)
{
	struct page *p = sio_get(s, SIO_PAGE);

	if (p == NULL)
		return;
	sio_set(s, SIO_PAGE, NULL);
	page_free(p);
}
