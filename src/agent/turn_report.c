/* SPDX-License-Identifier: MIT */
/*
 * Sub-agents, from their own side: the first turn is the task, and its end is
 * reported to the call that waits for it, before done is written. A worker
 * that dies in between reports again; only the first report is kept.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"
#include "store/records.h"

int
turn_must_report(const struct turn *t)
{
	return t->lease.task[0] != '\0';
}

/* The parent and its call: "agt_... call_...". */
static void
task_of(const struct turn *t, char parent[40], char call[64])
{
	if (sscanf(t->lease.task, "%39s %63s", parent, call) != 2)
		abort(); /* we did not write this */
}

/* The text of the answer, the last message of the history; "" if it is none:
 * a refusal is not kept. */
static void
answer_text(struct turn *t, struct arena *a, struct buf *out)
{
	size_t len;
	const char *last = history_last(t->history, &len);
	const struct json *j =
	    last == NULL ? NULL
			 : json_parse(a, last, len, JSON_DEPTH_MAX, NULL);
	const char *role = json_get_str(j, "role");

	if (role == NULL || strcmp(role, "assistant") != 0)
		return;
	for (const struct json *b = json_first(json_get(j, "content"));
	     b != NULL; b = json_next(b))
		if (json_get_str(b, "text") != NULL)
			buf_puts(out, json_get_str(b, "text"));
}

static void
report_build(struct turn *t, struct arena *a, struct buf *out)
{
	size_t max = (size_t)t->runner->parts.conf->tool_max_output_bytes;
	int completed = strcmp(t->report_reason, "completed") == 0, ok;
	struct buf text;

	buf_init(&text, a);
	if (completed)
		answer_text(t, a, &text);
	ok = text.len > 0;
	if (!ok)
		buf_printf(&text, "the sub-agent %s%s",
		    completed ? "gave no answer" : "ended with ",
		    completed ? "" : t->report_reason);
	buf_init(out, a);
	json_open(out, NULL, '{');
	json_add_str(out, "decision", "result");
	json_add_bool(out, "ok", ok);
	json_add_str(out, "agent", t->lease.agent);
	json_add_int(out, "tokens", t->lease.tokens);
	json_add_strn(out, "text", text.data,
	    text.len > max ? json_utf8_whole(text.data, max) : text.len);
	json_close(out, '}');
}

/* Blocks. */
enum turn_step
step_report(struct turn *t)
{
	struct arena *a = arena_open(16384);
	struct store *st = t->runner->parts.store;
	char parent[40], call[64];
	const char *lease = "";
	struct err err;
	struct buf said;
	int rc;

	task_of(t, parent, call);
	report_build(t, a, &said);
	rc = store_report(
	    st, a, t->lease.user, parent, call, said.data, &lease, &err);
	if (rc > 0)
		rc = runner_tell(t->runner, a, parent, lease,
		    arena_printf(
			a, "decided %s %s %s", parent, call, said.data),
		    &err);
	if (rc < 0)
		log_warn("the report: %s", err.text);
	arena_close(&a);
	if (rc >= 0)
		return TURN_REPORTED;
	t->load_err = err;
	return TURN_ABANDONED;
}

enum turn_step
step_reported(struct turn *t)
{
	t->lease.task[0] = '\0';
	t->reported = 1;
	return t->after_report;
}

enum turn_step
turn_report(struct turn *t, const char *reason, enum turn_step after)
{
	t->report_reason = reason;
	t->after_report = after;
	return TURN_REPORT;
}

/* ---- what is asked here is shown there ---- */

int
turn_has_unshown(const struct turn *t)
{
	for (size_t i = 0; i < t->call_count && turn_must_report(t); i++)
		if (t->calls[i].state == CALL_APPROVAL_REQUIRED &&
		    !t->calls[i].surfaced)
			return 1;
	return 0;
}

enum turn_step
turn_surface(struct turn *t)
{
	t->busy = 1;
	return TURN_SURFACE;
}

/* Blocks, before the turn is parked. */
enum turn_step
step_surface(struct turn *t)
{
	struct arena *a = arena_open(16384);
	struct store *st = t->runner->parts.store;
	char parent[40], call[64];
	const char *lease;
	struct err err;
	struct buf rest;

	task_of(t, parent, call);
	for (size_t i = 0; i < t->call_count; i++) {
		struct turn_call *c = &t->calls[i];

		if (c->state != CALL_APPROVAL_REQUIRED || c->surfaced)
			continue;
		buf_init(&rest, a);
		buf_printf(&rest, ",\"agent\":\"%s\",\"task\":\"%s\"",
		    t->lease.agent, call);
		call_snapshot(&rest, c);
		if (store_surface(st, a, t->lease.user, parent,
			EVENT_PERMISSION_REQUIRED, rest.data, &lease,
			&err) < 0 ||
		    (*lease != '\0' &&
			store_tell(st, a, lease,
			    arena_printf(a, "surface %s %s", parent, rest.data),
			    &err) < 0))
			log_warn("a question is not shown: %s", err.text);
		c->surfaced = 1;
	}
	arena_close(&a);
	return TURN_SURFACED;
}

enum turn_step
step_surfaced(struct turn *t)
{
	t->busy = 0;
	return TURN_TOOLS;
}
