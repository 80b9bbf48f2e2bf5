/* SPDX-License-Identifier: MIT */
/* /api/agents/ID/inbox and reminders: what no turn has taken yet. */
#include "config.h"
#include "store/records.h"

#include <string.h>

#include "agent/reminder.h"
#include "api/api_priv.h"

#define REMINDER_MAX_BYTES (16 * 1024)

int
inbox_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct store_page page;

	if (store_inbox(c->app->store, c->arena, c->user, c->rq->param[0],
		&page, err) < 0)
		return -1;
	http_json(c->rs, 200);
	buf_putc(&c->rs->body, '{');
	api_add_docs(&c->rs->body, "messages", &page);
	buf_putc(&c->rs->body, '}');
	return 0;
}

static int
withdraw(struct api_call *c, const char *message, struct err *err)
{
	const char *agent = c->rq->param[0];
	struct buf *b = &c->rs->body;
	struct store_withdrawn w;

	if (store_withdraw(
		c->app->store, c->arena, c->user, agent, message, &w, err) < 0)
		return -1;
	if (*message != '\0' && w.message_count == 0)
		return err_set(err, ERR_NOT_FOUND,
		    "no such message waits: a turn has taken it, or it was "
		    "withdrawn");
	for (size_t i = 0; i < w.turn_count && *w.lease != '\0'; i++)
		api_tell(c, w.lease,
		    arena_printf(
			c->arena, "withdrawn %s %s", agent, w.turns[i]));
	http_json(c->rs, 200);
	buf_putc(b, '{');
	json_open(b, "withdrawn", '[');
	for (size_t i = 0; i < w.message_count; i++)
		json_add_str(b, NULL, w.messages[i]);
	json_close(b, ']');
	buf_putc(b, '}');
	return 0;
}

int
inbox_clear(void *call, struct err *err)
{
	return withdraw(call, "", err);
}

int
inbox_delete(void *call, struct err *err)
{
	struct api_call *c = call;

	return withdraw(c, c->rq->param[1], err);
}

int
reminders_post(void *call, struct err *err)
{
	struct api_call *c = call;
	const char *text = "";
	struct buf content;

	if (api_body_str(c, "text", REMINDER_MAX_BYTES, &text, err) < 0)
		return -1;
	if (text[strspn(text, " \t\r\n")] == '\0')
		return err_set(err, ERR_INVALID, "text is missing, or blank");
	buf_init(&content, c->arena);
	reminder_content(&content, text);
	if (store_remind(c->app->store, c->arena, c->user, c->rq->param[0],
		content.data, content.len, err) < 0)
		return -1;
	http_json(c->rs, 202);
	buf_puts(&c->rs->body, "{}");
	return 0;
}
