/* SPDX-License-Identifier: MIT */
/*
 * Tool calls, and the sub-agents that some of them make.
 *
 * A call is told as clients need it: begun, complete with its whole input,
 * and when it is over an update of its state and a block with the result.
 * Events have the beginning of an input alone; where that is not all of it
 * the record is wanted first.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "session/record.h"
#include "session/view_priv.h"

static struct view_call *
call_find(const struct conversation *c, const char *id)
{
	struct view_call *k = c->calls;

	while (k != NULL && strncmp(k->id, id, VIEW_NAME_SIZE - 1) != 0)
		k = k->next;
	return k;
}

static struct view_call *
call_add(struct conversation *c, const char *id)
{
	struct view_call *k = arena_new(c->turn_arena, struct view_call);

	snprintf(k->id, sizeof(k->id), "%s", id);
	k->next = c->calls;
	c->calls = k;
	return k;
}

/* The call of an event; NULL if it has none. */
static const struct json *
call_of(const struct feed *f)
{
	const struct json *call = json_get(f->event, "call");

	return json_get_str(call, "id") == NULL ? NULL : call;
}

/* The whole input, or NULL; *waits_r if the record may have it. */
static const struct json *
input_of(struct feed *f, const struct json *call, int *waits_r)
{
	const struct json *input = record_input(f->out->arena, call);

	*waits_r = 0;
	if (input == NULL && f->record != NULL)
		input = record_input(f->out->arena, f->record);
	else if (input == NULL && !f->without && !f->quiet)
		*waits_r = 1;
	return input;
}

/* What a sub-agent's block has is kept until it is over. */
static void
keep_input(
    struct conversation *c, struct view_call *k, const struct json *input)
{
	struct buf b;

	if (k->input != NULL || json_get_str(input, "prompt") == NULL)
		return;
	buf_init(&b, c->turn_arena);
	json_print(&b, input);
	k->input = b.data;
}

int
call_start(struct feed *f)
{
	const struct json *call = call_of(f), *input;
	struct emit_head h = feed_head(f);
	struct view_call *known;
	struct block k;
	int waits;

	if (call == NULL || call_find(f->c, json_get_str(call, "id")) != NULL)
		return 0;
	input = input_of(f, call, &waits);
	if (waits)
		return FEED_WAITS;
	answer_end(f, NULL);
	known = call_add(f->c, json_get_str(call, "id"));
	keep_input(f->c, known, input);
	k = record_use(call, NULL);
	if (k.time_ms < 0)
		k.time_ms = f->time_ms;
	emit_block_start(f->out, &h, &k);
	k.input = input;
	k.status = BLOCK_RUNNING;
	emit_block_complete(f->out, &h, &k);
	return 0;
}

/* ---- its end ---- */

static struct conversation *
child_of_call(const struct session_view *v, const char *id)
{
	struct conversation *c = v->children;

	while (c != NULL && strncmp(c->id, id, VIEW_NAME_SIZE - 1) != 0)
		c = c->next;
	return c;
}

/* Its block in the conversation that has made it, and what is told of its end
 * when its own turn is over too. */
static void
child_end(struct feed *f, const struct json *call, const struct view_call *its,
    struct conversation *child)
{
	const struct json *report = record_report(call), *input = NULL;
	struct emit_head h = feed_head(f);
	struct block k;

	if (its != NULL && its->input != NULL)
		input = json_parse(f->out->arena, its->input,
		    strlen(its->input), JSON_DEPTH_MAX, NULL);
	k = record_subagent(f->out->arena, call, input);
	if (k.time_ms < 0)
		k.time_ms = f->time_ms;
	emit_block_old(f->out, &h, &k);
	child->closed = 1;
	child->failed = k.status != BLOCK_SUCCESS;
	child->duration_ms = k.duration_ms;
	buf_clear(&child->report);
	if (report != NULL)
		json_print(&child->report, report);
	subagent_close(f, child);
}

/*
 * The call of the event, or its record if the event lacks the result, or if
 * a sub-agent's block needs the input, which was never told here.
 */
static const struct json *
with_result(struct feed *f, const struct json *call,
    const struct view_call *known, int *waits_r)
{
	const struct conversation *child =
	    child_of_call(f->view, json_get_str(call, "id"));
	int lacks = child != NULL && (known == NULL || known->input == NULL);

	*waits_r = 0;
	if ((json_get(call, "result") != NULL && !lacks) || f->without ||
	    f->quiet)
		return call;
	if (f->record != NULL)
		return record_is_over(f->record) ? f->record : call;
	*waits_r = 1;
	return call;
}

int
call_complete(struct feed *f)
{
	const struct json *call = call_of(f);
	struct emit_head h = feed_head(f);
	struct conversation *child;
	struct view_call *known;
	struct block k;
	int waits;

	if (call == NULL || !record_is_over(call))
		return 0;
	known = call_find(f->c, json_get_str(call, "id"));
	if (known != NULL && known->over)
		return 0;
	call = with_result(f, call, known, &waits);
	if (waits)
		return FEED_WAITS;
	answer_end(f, NULL);
	if (known == NULL)
		known = call_add(f->c, json_get_str(call, "id"));
	known->over = 1;
	keep_input(f->c, known, json_get(call, "input"));
	k = record_use(call, NULL);
	emit_block_status(f->out, &h, &k);
	k = record_result(f->out->arena, call);
	if (k.time_ms < 0)
		k.time_ms = f->time_ms;
	emit_block_complete(f->out, &h, &k);
	child = child_of_call(f->view, known->id);
	if (child != NULL && child->parent == f->c)
		child_end(f, call, known, child);
	return 0;
}

/* ---- sub-agents ---- */

/* What it was asked: of the call as it was told, of the event, or the record.
 */
static const struct json *
child_input(struct feed *f, const struct json *call, int *waits_r)
{
	const struct view_call *known =
	    call_find(f->c, json_get_str(call, "id"));

	*waits_r = 0;
	if (known != NULL && known->input != NULL)
		return json_parse(f->out->arena, known->input,
		    strlen(known->input), JSON_DEPTH_MAX, NULL);
	return input_of(f, call, waits_r);
}

int
subagent_start(struct feed *f)
{
	const char *agent = json_get_str(f->event, "agent");
	const struct json *call = call_of(f), *input;
	struct emit_head h = feed_head(f);
	struct emit_subagent s;
	struct conversation *c;
	int waits;

	if (agent == NULL || call == NULL || !id_valid(agent, "agt_") ||
	    conversation_find(f->view, agent) != NULL ||
	    child_of_call(f->view, json_get_str(call, "id")) != NULL ||
	    f->view->child_count >= CHILDREN_MAX)
		return 0;
	input = child_input(f, call, &waits);
	if (waits)
		return FEED_WAITS;
	c = conversation_new(f->view, agent, json_get_str(call, "id"));
	c->parent = f->c;
	s = (struct emit_subagent){
		.call = c->id,
		.agent = agent,
		.prompt = json_get_str(input, "prompt"),
		.description = json_get_str(input, "description"),
		.type = json_get_str(input, "template"),
	};
	emit_spawned(f->out, &h, &s);
	session_out_want(
	    f->out, &(struct session_want){ .kind = SESSION_WANT_FOLLOW,
			.agent = agent,
			.id = c->id,
			.quiet = f->quiet });
	return 0;
}

/* It is over, whatever of its log is still to come. */
static void
child_cut(struct feed *f, struct conversation *c)
{
	struct feed its = *f;

	its.c = c;
	its.turn = c->turn;
	answer_end(&its, NULL);
	c->done = c->closed = 1;
	subagent_close(f, c);
}

/* Those that it has made end with it. */
static void
close_its_own(struct feed *f, const struct conversation *parent)
{
	struct conversation *c = f->view->children;

	while (c != NULL) {
		if (c->parent != parent) {
			c = c->next;
			continue;
		}
		child_cut(f, c);
		c = f->view->children; /* others may have gone with it */
	}
}

int
subagent_close(struct feed *f, struct conversation *c)
{
	struct emit_head h = { f->view->session, c->parent->id, f->time_ms };
	struct emit_subagent s = { .call = c->id,
		.agent = c->agent,
		.failed = c->failed,
		.duration_ms = c->duration_ms };

	if (!c->done || !c->closed)
		return 0;
	close_its_own(f, c);
	if (c->report.len > 0)
		s.output = json_parse(
		    f->out->arena, c->report.data, c->report.len, 1, NULL);
	emit_ended(f->out, &h, &s);
	session_out_want(
	    f->out, &(struct session_want){
			.kind = SESSION_WANT_LEAVE, .agent = c->agent });
	conversation_drop(f->view, c);
	return 1;
}

void
subagents_close(struct feed *f)
{
	struct conversation *c = f->view->children;

	while (c != NULL) {
		if (c->parent == f->c && c->closed && c->passed++ > 0) {
			child_cut(f, c);
			c = f->view->children;
		} else {
			c = c->next;
		}
	}
}
