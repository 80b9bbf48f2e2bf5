/* SPDX-License-Identifier: MIT */
/*
 * A model without a network: it plays scenarios, for the demo and for tests.
 *
 * It writes the very events that the real API would send and feeds them to
 * the real decoder. So text, thinking, errors inside a stream, a cut, broken
 * events and an interrupt come out as they do from the provider, by the same
 * code, and the scenarios mean what they mean over HTTP in
 * tests/lib/scripted_model.py.
 *
 * A call is a list of steps and a timer. Each time the timer fires, steps are
 * played until one has to wait. The first time is after start has returned:
 * like the network, nothing is said before. There are no timeouts here: who
 * plays "stall" waits until somebody cancels.
 *
 * All on the loop's thread, but for call_free, which finds no timer any more.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "model/decode.h"
#include "model/provider.h"
#include "model/script_priv.h"

#define EVENT_MAX (16 * 1024 * 1024)
#define ANSWER_MAX (32 * 1024 * 1024)
#define BURST 256 /* pieces of text at most before others have a turn */

/* Not 0: libuv would run it in the same tick, before all others. */
#define YIELD_MS 1

#define BLANKS " \t\r\n\v\f"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct script_call {
	struct model_call call; /* first */
	struct model_decode *decode;
	struct loop_timer *timer; /* NULL when it has ended */
	struct arena *arena;
	struct script_texts texts;
	const struct scenario *scenario; /* NULL before the first tick */
	size_t at;                       /* the step that is played */
	int waited;                      /* its pause is over */

	const char *rest; /* of the text of this step; NULL: not begun */
	int64_t begun_ms;
	int64_t pieces; /* said of it */

	int message_started;
	const char *block; /* the open one's type, or NULL */
	int index;
	int64_t words; /* all pieces */
	const char *stop_reason;
	struct buf event; /* the one that is written */
	int over;         /* the decoder takes no more: it failed */
};

enum play {
	PLAY_NEXT,   /* the step is done */
	PLAY_WAIT,   /* play it again when the timer fires */
	PLAY_END,    /* the stream ends here */
	PLAY_REFUSED /* there is no stream, but a status */
};

typedef enum play play_f(struct script_call *c, const struct script_step *s);

/* ---- events ---- */

static void
feed(struct script_call *c, const char *data, size_t len)
{
	if (!c->over && model_decode_feed(c->decode, data, len, NULL) < 0)
		c->over = 1;
}

static struct buf *
event_open(struct script_call *c, const char *type)
{
	struct buf *b = &c->event;

	buf_clear(b);
	buf_lit(b, "data: ");
	json_open(b, NULL, '{');
	json_add_str(b, "type", type);
	return b;
}

static void
event_send(struct script_call *c)
{
	json_close(&c->event, '}');
	buf_lit(&c->event, "\n\n");
	feed(c, c->event.data, c->event.len);
}

/* Whether a usage step from the from-th to this one has the member. */
static int
usage_said(const struct script_call *c, size_t from, const char *name)
{
	for (size_t i = from; i < c->at; i++) {
		const struct script_step *s = &c->scenario->steps[i];

		if (s->kind == SCRIPT_USAGE && json_get(s->value, name) != NULL)
			return 1;
	}
	return 0;
}

/* What the steps so far say of it, and a guess where they say nothing. */
static void
add_usage(struct script_call *c, struct buf *b)
{
	const struct {
		const char *name;
		int64_t value;
	} guesses[] = {
		{ "input_tokens", (int64_t)c->call.rq->messages->len / 4 },
		{ "cache_creation_input_tokens", 0 },
		{ "cache_read_input_tokens", 0 },
		{ "output_tokens", c->words > 0 ? c->words : 1 },
	};
	const struct json *m;

	json_open(b, "usage", '{');
	for (size_t i = 0; i < COUNT(guesses); i++)
		if (!usage_said(c, 0, guesses[i].name))
			json_add_int(b, guesses[i].name, guesses[i].value);
	for (size_t i = 0; i < c->at; i++) {
		if (c->scenario->steps[i].kind != SCRIPT_USAGE)
			continue;
		m = json_first(c->scenario->steps[i].value);
		for (; m != NULL; m = json_next(m))
			if (!usage_said(c, i + 1, json_name(m)))
				json_add_json(b, json_name(m), m);
	}
	json_close(b, '}');
}

static void
message_start(struct script_call *c)
{
	const struct model *m = c->call.model;
	struct buf *b;
	char id[40];

	if (c->message_started)
		return;
	c->message_started = 1;
	model_call_heard(&c->call);
	snprintf(id, sizeof(id), "msg_%08lld", (long long)m->script->calls);
	b = event_open(c, "message_start");
	json_open(b, "message", '{');
	json_add_str(b, "id", id);
	json_add_str(b, "model", m->on_wire.id);
	add_usage(c, b);
	json_close(b, '}');
	event_send(c);
}

static void
block_close(struct script_call *c)
{
	if (c->block == NULL)
		return;
	json_add_int(event_open(c, "content_block_stop"), "index", c->index);
	event_send(c);
	c->block = NULL;
	c->index++;
}

static void
block_open(struct script_call *c, const char *type)
{
	struct buf *b;

	if (c->block != NULL && strcmp(c->block, type) == 0)
		return;
	block_close(c);
	message_start(c);
	b = event_open(c, "content_block_start");
	json_add_int(b, "index", c->index);
	json_open(b, "content_block", '{');
	json_add_str(b, "type", type);
	json_close(b, '}');
	event_send(c);
	c->block = type;
}

/* A delta's type is its member with _delta behind. */
static void
delta(struct script_call *c, const char *member, const char *text, size_t len)
{
	struct buf *b = event_open(c, "content_block_delta");
	char type[40];

	snprintf(type, sizeof(type), "%s_delta", member);
	json_add_int(b, "index", c->index);
	json_open(b, "delta", '{');
	json_add_str(b, "type", type);
	json_add_strn(b, member, text, len);
	json_close(b, '}');
	event_send(c);
}

static void
message_delta(struct script_call *c)
{
	struct buf *b = event_open(c, "message_delta");

	json_open(b, "delta", '{');
	json_add_str(b, "stop_reason", c->stop_reason);
	json_close(b, '}');
	add_usage(c, b);
	event_send(c);
}

/* ---- steps ---- */

static enum play
wait_ms(struct script_call *c, int64_t ms)
{
	loop_timer_start(c->timer, ms, 0);
	return PLAY_WAIT;
}

/* The next piece: a word with the blanks behind it, unless by says else. */
static size_t
piece_len(const char *p, const char *by)
{
	size_t n;

	if (by != NULL && strcmp(by, "whole") == 0)
		return strlen(p);
	if (by != NULL && strcmp(by, "char") == 0) {
		for (n = 1; ((unsigned char)p[n] & 0xc0) == 0x80;)
			n++;
		return n;
	}
	n = strspn(p, BLANKS);
	n += strcspn(p + n, BLANKS);
	return n + strspn(p + n, BLANKS);
}

static void
say_begin(struct script_call *c, const struct script_step *s)
{
	c->rest = script_expand(&c->texts, json_str(s->value));
	c->begun_ms = loop_now_ms(c->call.model->models->loop);
	c->pieces = 0;
	block_open(c, json_name(s->value));
}

/* Each piece has its time, so that late ones do not delay the others. */
static enum play
play_text(struct script_call *c, const struct script_step *s)
{
	const char *by = json_get_str(s->json, "by");
	int64_t pace_ms = 0, early_ms;
	size_t len;

	json_get_int(s->json, "pace_ms", &pace_ms);
	if (c->rest == NULL)
		say_begin(c, s);
	for (int i = 0; *c->rest != '\0' && !c->over; i++) {
		early_ms = c->begun_ms + c->pieces * pace_ms -
			   loop_now_ms(c->call.model->models->loop);
		if (early_ms > 0)
			return wait_ms(c, early_ms);
		if (i == BURST)
			return wait_ms(c, YIELD_MS);
		len = piece_len(c->rest, by);
		delta(c, c->block, c->rest, len);
		c->rest += len;
		c->pieces++;
		c->words++;
	}
	c->rest = NULL;
	return PLAY_NEXT;
}

static enum play
play_thinking(struct script_call *c, const struct script_step *s)
{
	const char *signature = json_get_str(s->json, "signature");

	if (play_text(c, s) == PLAY_WAIT)
		return PLAY_WAIT;
	if (signature != NULL)
		delta(c, "signature", signature, strlen(signature));
	block_close(c);
	return PLAY_NEXT;
}

/* A whole call, in one piece. */
static enum play
play_call(struct script_call *c, const struct script_step *s)
{
	const struct json *input = json_get(s->json, "input");
	struct buf *b, text;
	char id[48];

	block_close(c);
	message_start(c);
	snprintf(id, sizeof(id), "toolu_%08lld_%d",
	    (long long)c->call.model->script->calls, c->index);
	b = event_open(c, "content_block_start");
	json_add_int(b, "index", c->index);
	json_open(b, "content_block", '{');
	json_add_str(b, "type", "tool_use");
	json_add_str(b, "id", id);
	json_add_str(b, "name", json_str(s->value));
	json_add_raw(b, "input", "{}", 2);
	json_close(b, '}');
	event_send(c);
	buf_init(&text, c->arena);
	if (input == NULL)
		buf_lit(&text, "{}");
	else
		script_expand_json(&c->texts, &text, NULL, input);
	b = event_open(c, "content_block_delta");
	json_add_int(b, "index", c->index);
	json_open(b, "delta", '{');
	json_add_str(b, "type", "input_json_delta");
	json_add_strn(b, "partial_json", text.data, text.len);
	json_close(b, '}');
	event_send(c);
	c->block = "tool_use";
	block_close(c);
	if (strcmp(c->stop_reason, "end_turn") == 0)
		c->stop_reason = "tool_use";
	return PLAY_NEXT;
}

static enum play
play_wait(struct script_call *c, const struct script_step *s)
{
	int64_t ms;

	if (c->waited || !json_int(s->value, &ms))
		return PLAY_NEXT;
	c->waited = 1;
	return wait_ms(c, ms < YIELD_MS ? YIELD_MS : ms);
}

static enum play
play_stall(struct script_call *c, const struct script_step *s)
{
	(void)c;
	(void)s;
	return PLAY_WAIT;
}

static enum play
play_ping(struct script_call *c, const struct script_step *s)
{
	(void)s;
	message_start(c);
	event_open(c, "ping");
	event_send(c);
	return PLAY_NEXT;
}

static enum play
play_error(struct script_call *c, const struct script_step *s)
{
	const struct json *m;
	struct buf *b = event_open(c, "error");

	json_open(b, "error", '{');
	for (m = json_first(s->value); m != NULL; m = json_next(m))
		json_add_str(
		    b, json_name(m), script_expand(&c->texts, json_str(m)));
	json_close(b, '}');
	event_send(c);
	return PLAY_END;
}

static enum play
play_end(struct script_call *c, const struct script_step *s)
{
	(void)c;
	(void)s;
	return PLAY_END;
}

/* Raw bytes: what becomes of them is the decoder's to say. */
static enum play
play_garbage(struct script_call *c, const struct script_step *s)
{
	struct buf *b = &c->event;

	buf_clear(b);
	for (const char *p = json_str(s->value); *p != '\0'; p++) {
		unsigned char lead = (unsigned char)*p;

		if (lead >= 0x80) /* C2 or C3, and one more */
			lead = (unsigned char)(lead << 6 | (*++p & 0x3f));
		buf_putc(b, (char)lead);
	}
	feed(c, buf_str(b), b->len);
	return PLAY_NEXT;
}

static enum play
play_stop_reason(struct script_call *c, const struct script_step *s)
{
	c->stop_reason = json_str(s->value);
	return PLAY_NEXT;
}

/* Nothing to do: add_usage looks back; there are no segments to split. */
static enum play
play_nothing(struct script_call *c, const struct script_step *s)
{
	(void)c;
	(void)s;
	return PLAY_NEXT;
}

/* ---- a status instead of a stream ---- */

static const struct {
	int status;
	const char *type;
} error_types[] = {
	{ 400, "invalid_request_error" },
	{ 401, "authentication_error" },
	{ 402, "billing_error" },
	{ 403, "permission_error" },
	{ 404, "not_found_error" },
	{ 405, "invalid_request_error" },
	{ 413, "request_too_large" },
	{ 429, "rate_limit_error" },
	{ 504, "timeout_error" },
	{ 529, "overloaded_error" },
};

static void
add_error_body(struct buf *b, int status, const char *message)
{
	const char *type = "api_error";

	for (size_t i = 0; i < COUNT(error_types); i++)
		if (error_types[i].status == status)
			type = error_types[i].type;
	json_open(b, NULL, '{');
	json_add_str(b, "type", "error");
	json_open(b, "error", '{');
	json_add_str(b, "type", type);
	json_add_str(b, "message", message);
	json_close(b, '}');
	json_close(b, '}');
}

/* A string as it is, another value as its JSON; the call's arena's. */
static const char *
text_of(struct script_call *c, const struct json *j)
{
	struct buf b;

	if (json_is(j, JSON_STRING))
		return json_str(j);
	buf_init(&b, c->arena);
	json_print(&b, j);
	return buf_str(&b);
}

static const char *
header(struct script_call *c, const struct script_step *s, const char *name)
{
	const struct json *h = json_first(json_get(s->json, "headers"));

	while (h != NULL && strcasecmp(json_name(h), name) != 0)
		h = json_next(h);
	return h == NULL ? NULL : text_of(c, h);
}

/* FNV-1a. A retry sends the same messages, another conversation does not. */
static uint64_t
conversation_hash(const struct buf *messages)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < messages->len; i++)
		h = (h ^ (unsigned char)messages->data[i]) *
		    UINT64_C(0x100000001b3);
	return h;
}

static struct script_counter *
counter_get(struct script_call *c, const struct script_step *s)
{
	struct script *sc = c->call.model->script;
	uint64_t id = conversation_hash(c->call.rq->messages);
	struct script_counter *n;

	for (size_t i = 0; i < SCRIPT_COUNTERS; i++)
		if (sc->counters[i].step == s &&
		    sc->counters[i].conversation == id)
			return &sc->counters[i];
	n = &sc->counters[sc->next_counter++ % SCRIPT_COUNTERS];
	*n = (struct script_counter){ s, id, 0 };
	return n;
}

/* Whether the conversation is short enough for it. */
static int
is_under(struct script_call *c, const struct script_step *s)
{
	int64_t over;

	return json_get_int(s->json, "over", &over) &&
	       c->call.rq->messages->len <= (size_t)over;
}

/* Whether it has refused this conversation as often as it shall. */
static int
status_is_over(struct script_call *c, const struct script_step *s)
{
	const struct json *times = json_get(s->json, "times");
	struct script_counter *n;

	if (times == NULL)
		return 0;
	n = counter_get(c, s);
	if (n->refused >=
	    strtoll(script_expand(&c->texts, text_of(c, times)), NULL, 10))
		return 1;
	n->refused++;
	return 0;
}

/* The body it shall have; without one, what Anthropic would say. */
static void
status_body(struct script_call *c, const struct script_step *s, int status,
    struct buf *out)
{
	const struct json *body = json_get(s->json, "body");
	char message[40];

	if (json_is(body, JSON_STRING)) {
		buf_puts(out, script_expand(&c->texts, json_str(body)));
	} else if (body != NULL) {
		json_print(out, body);
	} else {
		snprintf(message, sizeof(message), "scripted %d", status);
		add_error_body(out, status, message);
	}
}

static void
refuse(struct script_call *c, struct model_reply *reply, const struct buf *body)
{
	reply->body = buf_str(body);
	reply->len = body->len;
	reply->now_s = clk_wall_ms() / 1000;
	model_error_decode(reply, &model_decode_result(c->decode)->failure);
}

static enum play
play_status(struct script_call *c, const struct script_step *s)
{
	struct model_reply reply = {
		.retry_after = header(c, s, "retry-after"),
		.retry_after_ms = header(c, s, "retry-after-ms"),
		.should_retry = header(c, s, "x-should-retry"),
	};
	int64_t status = 0;
	struct buf body;

	if (is_under(c, s) || status_is_over(c, s))
		return PLAY_NEXT;
	json_int(s->value, &status);
	reply.status = (int)status;
	buf_init(&body, c->arena);
	status_body(c, s, reply.status, &body);
	refuse(c, &reply, &body);
	return PLAY_REFUSED;
}

/* ---- a call ---- */

static play_f *const plays[SCRIPT_STEP_KINDS] = {
	[SCRIPT_TEXT] = play_text,
	[SCRIPT_THINKING] = play_thinking,
	[SCRIPT_CALL] = play_call,
	[SCRIPT_WAIT] = play_wait,
	[SCRIPT_STALL] = play_stall,
	[SCRIPT_PING] = play_ping,
	[SCRIPT_ERROR] = play_error,
	[SCRIPT_STATUS] = play_status,
	[SCRIPT_CUT] = play_end,
	[SCRIPT_RESET] = play_end,
	[SCRIPT_GARBAGE] = play_garbage,
	[SCRIPT_SPLIT] = play_nothing,
	[SCRIPT_STOP_REASON] = play_stop_reason,
	[SCRIPT_USAGE] = play_nothing,
};

/* Plays steps until one waits, or the last one is done. */
static enum play
play_steps(struct script_call *c)
{
	const struct script_step *s;
	enum play p;

	while (c->at < c->scenario->step_count) {
		s = &c->scenario->steps[c->at];
		p = plays[s->kind](c, s);
		if (c->over)
			return PLAY_END;
		if (p != PLAY_NEXT)
			return p;
		c->at++;
		c->waited = 0;
	}
	message_start(c);
	block_close(c);
	message_delta(c);
	event_open(c, "message_stop");
	event_send(c);
	return PLAY_END;
}

/* Looks at the conversation. The owner's buffer stays as it is. */
static enum play
call_prepare(struct script_call *c)
{
	const struct buf *messages = c->call.rq->messages;
	struct script *s = c->call.model->script;
	struct model_result *r = model_decode_result(c->decode);
	struct model_reply reply = { .status = 400 };
	struct buf doc;
	struct err err = { 0 };

	snprintf(r->request_id, sizeof(r->request_id), "req_%08lld",
	    (long long)++s->calls);
	buf_init(&doc, c->arena);
	buf_add(&doc, buf_str(messages), messages->len);
	buf_lit(&doc, "]}");
	if (script_texts_read(&c->texts, c->arena, doc.data, doc.len, &err) ==
	    0) {
		c->scenario = script_match(s, &c->texts);
		return PLAY_NEXT;
	}
	buf_clear(&doc);
	add_error_body(&doc, reply.status, err.text);
	refuse(c, &reply, &doc);
	return PLAY_REFUSED;
}

static void
on_timer(void *arg)
{
	struct script_call *c = arg;
	enum play p = PLAY_NEXT;

	if (c->scenario == NULL)
		p = call_prepare(c);
	if (p == PLAY_NEXT)
		p = play_steps(c);
	if (p == PLAY_WAIT)
		return;
	if (p == PLAY_END)
		model_decode_finish(c->decode, NULL);
	loop_timer_free(&c->timer);
	model_call_end(&c->call);
}

static struct model_call *
script_call_new(const struct model *m, const struct model_request *rq)
{
	static const struct model_bounds bounds = { EVENT_MAX, ANSWER_MAX };
	struct script_call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->decode = model_decode_new(
	    MODEL_API_ANTHROPIC, 0, &rq->sink, rq->ctx, &bounds);
	c->arena = arena_open(4096);
	c->timer = loop_timer_new(m->models->loop, "script", on_timer, c);
	c->stop_reason = "end_turn";
	buf_init(&c->event, NULL);
	return &c->call;
}

static void
script_start(struct model_call *call)
{
	struct script_call *c = (struct script_call *)(void *)call;

	loop_timer_start(c->timer, 0, 0);
}

static struct model_result *
script_result(struct model_call *call)
{
	struct script_call *c = (struct script_call *)(void *)call;

	return model_decode_result(c->decode);
}

/* The provider would not have said it yet, but here the usage is known. */
static void
script_cancel(struct model_call *call)
{
	struct script_call *c = (struct script_call *)(void *)call;

	if (c->message_started && !usage_said(c, 0, "output_tokens"))
		script_result(call)->usage.output = c->words;
	model_decode_interrupt(c->decode);
	loop_timer_free(&c->timer);
	model_call_end(call);
}

static void
script_call_free(struct model_call *call)
{
	struct script_call *c = (struct script_call *)(void *)call;

	model_decode_free(&c->decode);
	buf_fini(&c->event);
	arena_close(&c->arena);
	free(c);
}

const struct model_engine engine_script = {
	.call_new = script_call_new,
	.start = script_start,
	.cancel = script_cancel,
	.result = script_result,
	.call_free = script_call_free,
};
