/* SPDX-License-Identifier: MIT */
/*
 * Packets of Socket.IO: any bytes. What is read is within its bounds, and
 * written in the same form and read again it is the same.
 */
#include "config.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "bridge/sio_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
print(struct buf *b, const struct sio_packet *p)
{
	buf_printf(b, "%d", (int)p->type);
	if (p->type == SIO_BINARY_EVENT || p->type == SIO_BINARY_ACK)
		buf_printf(b, "%d-", p->attachments);
	if (strcmp(p->nsp, "/") != 0)
		buf_printf(b, "%s,", p->nsp);
	if (p->ack >= 0)
		buf_printf(b, "%" PRId64, p->ack);
	if (p->data != NULL)
		json_print(b, p->data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct arena *a = arena_open(4096);
	struct sio_packet p, q;
	struct buf once, twice;
	struct err err;

	err_clear(&err);
	buf_init(&once, a);
	buf_init(&twice, a);
	if (sio_read(a, (const char *)data, len, &p, &err) < 0) {
		must(err.code == ERR_REQUEST || err.code == ERR_INVALID);
	} else {
		must(
		    p.attachments >= 0 && p.attachments <= SIO_ATTACHMENTS_MAX);
		must(p.nsp[0] == '/' && p.event != NULL);
		print(&once, &p);
		must(sio_read(a, once.data, once.len, &q, &err) == 0);
		print(&twice, &q);
		must(strcmp(buf_str(&once), buf_str(&twice)) == 0);
	}
	arena_close(&a);
	return 0;
}
