/* SPDX-License-Identifier: MIT */
/*
 * A server that is a program in the sandbox: a line of JSON each, to its
 * standard input and from its standard output (MCP 2025-06-18, "stdio").
 *
 * Lines are sent one after the other: the sandbox does many calls at a time,
 * and their order would be anybody's guess.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "mcp/link.h"
#include "mcp/mcp.h"
#include "mcp/message.h"
#include "sandbox/client.h"

#define BEGIN_TRIES 200 /* the program may not run yet */
#define BEGIN_EVERY_MS 20
#define STAYS_MS (20LL * 24 * 3600 * 1000) /* the sandbox ends it before */

struct stdio {
	struct mcp_link link;
	struct arena *arena;
	char pipe[ID_SIZE];
	char *user, *workspace;
	struct sandbox_call program;
	struct arena *write_arena;
	struct sandbox_call write;
	struct buf members;
	int open, writing, begun, tries;
	int waits;                   /* to try again */
	struct buf sending, waiting; /* lines */
	struct buf line;             /* one that is not whole */
	struct loop_timer *again;
};

static void send_next(struct stdio *s);

static void
fail(struct stdio *s, enum err_code code, const char *text)
{
	struct err err;

	err_clear(&err);
	/* "Not found" is what a forgotten session of HTTP says. */
	err_set(&err, code == ERR_NOT_FOUND ? ERR_MODEL : code, "%s", text);
	s->link.on_failed(s->link.ctx, 0, &err);
}

/* ---- what it says ---- */

static void
take_line(struct stdio *s, const char *p, size_t len)
{
	while (len > 0 && (p[len - 1] == '\r' || p[len - 1] == ' '))
		len--;
	if (len > 0)
		s->link.on_message(s->link.ctx, p, len);
}

static void
on_output(void *ctx, const char *p, size_t len)
{
	struct stdio *s = ctx;
	const char *end = p + len, *eol;

	while (s->open && (eol = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (s->line.len > 0) {
			buf_add(&s->line, p, (size_t)(eol - p));
			take_line(s, s->line.data, s->line.len);
			buf_clear(&s->line);
		} else {
			take_line(s, p, (size_t)(eol - p));
		}
		p = eol + 1;
	}
	if (!s->open)
		return;
	buf_add(&s->line, p, (size_t)(end - p));
	if (s->line.len <= MCP_MESSAGE_BYTES)
		return;
	buf_clear(&s->line);
	fail(s, ERR_TOO_LARGE, "a message is too long");
}

/* The last line of what it said on its standard error. */
static const char *
last_words(const char *text)
{
	const char *p = text + strlen(text);

	while (p > text && p[-1] == '\n')
		p--;
	while (p > text && p[-1] != '\n')
		p--;
	return p;
}

static void
on_program_end(void *ctx, struct sandbox_call *c)
{
	struct stdio *s = ctx;
	const char *said = json_get_str(c->answer, "errors");
	char text[300];
	int64_t code = 0;

	if (!s->open)
		return;
	if (c->err.code != ERR_NONE) {
		fail(s, c->err.code, c->err.text);
		return;
	}
	json_get_int(c->answer, "code", &code);
	if (said == NULL || *said == '\0')
		said = json_get_str(c->answer, "end");
	snprintf(text, sizeof(text), "the program ended with %lld: %.200s",
	    (long long)code, said == NULL ? "" : last_words(said));
	text[strcspn(text, "\n")] = '\0';
	fail(s, ERR_MODEL, text);
}

/* ---- what it is told ---- */

static void
on_again(void *arg)
{
	struct stdio *s = arg;

	s->waits = 0;
	send_next(s);
}

/* It is tried again until the program has begun. */
static void
on_written(void *ctx, struct sandbox_call *c)
{
	struct stdio *s = ctx;

	if (!s->open)
		return;
	s->writing = 0;
	if (c->err.code == ERR_NONE) {
		s->begun = 1;
		buf_clear(&s->sending);
		send_next(s);
	} else if (c->err.code == ERR_NOT_FOUND && !s->begun &&
		   s->tries++ < BEGIN_TRIES) {
		s->waits = 1;
		loop_timer_start(s->again, BEGIN_EVERY_MS, 0);
	} else if (c->err.code != ERR_NOT_FOUND) {
		fail(s, c->err.code, c->err.text);
	} /* else it has ended: on_program_end says more */
}

static void
send_next(struct stdio *s)
{
	struct buf swap = s->sending;

	if (s->writing || s->waits || s->link.host->sandbox == NULL)
		return;
	if (s->sending.len == 0) {
		s->sending = s->waiting;
		s->waiting = swap;
	}
	if (s->sending.len == 0)
		return;
	arena_reset(s->write_arena);
	s->write = (struct sandbox_call){ .arena = s->write_arena,
		.op = "pipe.write",
		.user = s->user,
		.agent = s->workspace,
		.members = s->members.data,
		.data = s->sending.data,
		.data_len = s->sending.len,
		.on_end = on_written,
		.ctx = s };
	s->writing = 1;
	sandbox_start(s->link.host->sandbox, &s->write);
}

static void
stdio_send(struct mcp_link *l, const char *p, size_t len, int64_t id)
{
	struct stdio *s = (struct stdio *)l;

	(void)id;
	buf_add(&s->waiting, p, len);
	buf_putc(&s->waiting, '\n');
	send_next(s);
}

static void
stdio_close(struct mcp_link *l)
{
	struct stdio *s = (struct stdio *)l;
	struct sandbox *box = l->host->sandbox;

	s->open = 0;
	if (box != NULL) {
		if (s->writing)
			sandbox_cancel(box, &s->write);
		sandbox_cancel(box, &s->program);
	}
	loop_timer_free(&s->again);
	buf_fini(&s->sending);
	buf_fini(&s->waiting);
	buf_fini(&s->line);
	arena_close(&s->write_arena);
	arena_close(&s->arena);
	free(s);
}

static const struct mcp_link_ops stdio_ops = {
	.send = stdio_send,
	.close = stdio_close,
};

static void
program_start(struct stdio *s)
{
	struct buf m;

	if (s->link.host->sandbox == NULL) {
		fail(s, ERR_CONFIG,
		    "it is a program, and there is no sandbox "
		    "(sandbox.socket)");
		return;
	}
	buf_init(&m, s->arena);
	buf_puts(&m, s->members.data);
	json_add_str(&m, "command", s->link.server->command);
	if (s->link.server->network != NULL)
		json_add_json(&m, "network", s->link.server->network);
	s->program = (struct sandbox_call){ .arena = s->arena,
		.op = "pipe.open",
		.user = s->user,
		.agent = s->workspace,
		.members = m.data,
		.timeout_ms = STAYS_MS,
		.on_more = on_output,
		.on_end = on_program_end,
		.ctx = s };
	sandbox_start(s->link.host->sandbox, &s->program);
}

struct mcp_link *
mcp_stdio_open(
    const struct mcp_link *base, const char *user, const char *workspace)
{
	struct stdio *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->link = *base;
	s->link.ops = &stdio_ops;
	s->arena = arena_open(1024);
	s->write_arena = arena_open(1024);
	s->user = arena_strdup(s->arena, user);
	s->workspace = arena_strdup(s->arena, workspace);
	id_make(s->pipe, "mcp_");
	buf_init(&s->members, s->arena);
	buf_printf(&s->members, ",\"pipe\":\"%s\"", s->pipe);
	buf_init(&s->sending, NULL);
	buf_init(&s->waiting, NULL);
	buf_init(&s->line, NULL);
	s->again = loop_timer_new(base->host->loop, "mcp write", on_again, s);
	s->open = 1;
	program_start(s);
	return &s->link;
}
