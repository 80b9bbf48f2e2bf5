/* SPDX-License-Identifier: MIT */
/* How each API wants requests: the table, and what wires share. */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "model/wire.h"

static const struct model_wire *const wires[MODEL_APIS] = {
	[MODEL_API_ANTHROPIC] = &wire_anthropic,
	[MODEL_API_RESPONSES] = &wire_responses,
	[MODEL_API_GEMINI] = &wire_gemini,
	[MODEL_API_CHAT] = &wire_chat,
};

const struct model_wire *
model_wire(enum model_api api)
{
	return wires[api];
}

void
wire_entry(struct wire_text *t)
{
	if (t->shown++ > 0)
		buf_putc(t->out, ',');
}

void
wire_members(struct buf *b, const char *members)
{
	size_t n = strlen(members);

	/* {"a":1} was checked when it was read: what is within goes in. */
	if (n > 2) {
		buf_putc(b, ',');
		buf_add(b, members + 1, n - 2);
	}
}
