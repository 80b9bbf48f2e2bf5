/* SPDX-License-Identifier: MIT */
/*
 * Calls for workspaces that are not there, though they may be saved elsewhere:
 * the sandbox was lost, or it is another one. Such a call waits, without a time
 * of its own, until whoever knows of saved files has put them back or has found
 * that there are none; then it is sent again. Nothing is asked beforehand, so
 * calls for workspaces that are there cost nothing more.
 */
#include "config.h"

#include <string.h>

#include "base/json.h"
#include "base/loop.h"
#include "sandbox/client.h"
#include "sandbox/client_priv.h"

/* Operations that work on what is there. What ends or shows jobs is none: they
 * went with the workspace. */
static const char *const ops[] = { "fs.read", "fs.write", "fs.edit", "fs.glob",
	"fs.grep", "fs.list", "fs.get", "fs.tar", "fs.put", "fs.delete",
	"bash.run", "bash.start", "pipe.open", "ws.copy" };

void
sandbox_on_missing(struct sandbox *s, sandbox_missing_f *fn, void *ctx)
{
	s->on_missing = fn;
	s->missing_ctx = ctx;
}

int
sandbox_call_wants_there(const struct sandbox *s, const struct sandbox_call *c)
{
	if (s->on_missing == NULL || c->as_it_is)
		return 0;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(ops[i], c->op) == 0)
			return 1;
	return 0;
}

int
sandbox_call_park(struct sandbox *s, struct sandbox_call *c)
{
	if (!c->there || s->on_missing == NULL ||
	    !json_get_true(c->answer, "missing"))
		return 0;
	c->there = 0;
	c->waits = 1;
	c->way = NULL;
	c->deadline_ms = c->connect_ms = INT64_MAX;
	s->on_missing(s->missing_ctx, c->user, c->agent);
	return 1;
}

/* One that waits for that workspace, or NULL. */
static struct sandbox_call *
find_waiting(struct sandbox *s, const char *user, const char *agent)
{
	struct sandbox_call *c = s->calls;

	while (c != NULL && !(c->waits && strcmp(c->agent, agent) == 0 &&
				strcmp(c->user, user) == 0))
		c = c->next;
	return c;
}

void
sandbox_settle(struct sandbox *s, const char *user, const char *agent,
    const struct err *why)
{
	struct sandbox_call *c;

	while ((c = find_waiting(s, user, agent)) != NULL) {
		c->waits = 0;
		if (why != NULL)
			sandbox_call_fail(s, c, why->code, why->text);
		else
			sandbox_call_again(s, c);
	}
	sandbox_calls_send(s);
}
