/* SPDX-License-Identifier: MIT */
/*
 * Messages of AgentBridge: any bytes. What is made of them is JSON that is
 * taken again, and of what a page can do the same when it is said twice.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "bridge/page_message.h"

#define COUNT 16
#define BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(int ok)
{
	if (!ok)
		abort();
}

static struct json *
read_back(struct arena *a, const struct buf *b)
{
	struct json *j = json_parse(a, b->data, b->len, JSON_DEPTH_MAX, NULL);

	must(j != NULL);
	return j;
}

/* What the message says that a page can do; NULL: it is too much. */
static const struct json *
capabilities(struct arena *a, const struct page_message *m)
{
	const struct page_limits limits = { COUNT, BYTES };
	const struct json *list;
	struct buf once, twice, agents;
	struct err err;

	err_clear(&err);
	buf_init(&once, a);
	buf_init(&twice, a);
	buf_init(&agents, a);
	if (page_capabilities(&once, m, NULL, &limits, &err) < 0) {
		must(err.code == ERR_LIMIT);
		return NULL;
	}
	list = read_back(a, &once);
	must(json_is(list, JSON_ARRAY) && json_count(list) <= COUNT);
	must(once.len <= BYTES);
	must(page_capabilities(&twice, m, list, &limits, &err) == 0);
	must(strcmp(once.data, twice.data) == 0);
	json_open(&agents, NULL, '[');
	page_functions(&agents, list, "client");
	page_components(&agents, list, "client");
	json_close(&agents, ']');
	read_back(a, &agents);
	return list;
}

/* The message as a command, to a page that can do what it says. */
static void
command(struct arena *a, const struct page_message *m, const struct json *list)
{
	struct buf b;
	struct page_command c = { .text = &b };
	struct err err;

	buf_init(&b, a);
	page_command_b1(&b, "id", 1, m->doc);
	must(strcmp(json_get_str(read_back(a, &b), "requestId"), "id") == 0);
	buf_init(&b, a);
	err_clear(&err);
	if (page_command_b2(&c, "id", 1, m->doc, list, &err) == 0)
		read_back(a, &b);
	else
		must(err.code == ERR_REQUEST);
}

static void
others(struct arena *a, const struct page_message *m)
{
	struct buf b;

	buf_init(&b, a);
	json_open(&b, NULL, '{');
	page_answer(&b, m);
	json_close(&b, '}');
	must(json_get_str(read_back(a, &b), "status") != NULL);
	buf_init(&b, a);
	if (m->says == PAGE_CALL) {
		page_command_of_call(&b, m, "agent");
		must(json_is(read_back(a, &b), JSON_OBJECT));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct arena *a = arena_open(4096);
	struct page_message m;
	struct err err;

	err_clear(&err);
	if (page_message_read(a, (const char *)data, len, &m, &err) < 0) {
		must(err.code == ERR_REQUEST || err.code == ERR_INVALID);
	} else {
		must(m.type != NULL);
		command(a, &m, capabilities(a, &m));
		others(a, &m);
	}
	arena_close(&a);
	return 0;
}
