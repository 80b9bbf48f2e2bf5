/* SPDX-License-Identifier: MIT */
/*
 * Compaction in a turn: before the next request would pass the model's
 * window, older turns give way to a summary.
 *
 * How large a request is the provider has said itself, of the one before; what
 * came since is measured by its rate of bytes to tokens. The documents are
 * read by a turn thread; a model sums them up; one commit makes the summary
 * and what stays a segment of its own. What was before stays readable as a
 * window. Nothing is written before, so a worker that dies meanwhile changes
 * nothing.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/compact.h"
#include "agent/forms.h"
#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"
#include "store/store.h"

#define BYTES_PER_TOKEN 4 /* until the provider has said */
#define REFUSED_PART 0.75 /* of a request that was too long */
#define PAGE 200
#define MECHANICAL_BYTES 16384
#define SHOWN_BYTES 500 /* of the summary, in the event */

struct turn_compact {
	struct arena *arena;
	const char **docs;
	size_t count;
	struct compact_plan plan;
	struct buf messages; /* of the request for the summary */
	struct model_request rq;
};

static const char default_prompt[] =
    "You sum up the older part of a conversation between a user and an "
    "assistant, so that the assistant can go on with it without having seen "
    "that part. Keep what the user wants and prefers, every fact, name, "
    "number, path and id that may matter later, what was decided, what tools "
    "were called for and what came of it, and what is still open. If the text "
    "begins with an earlier summary, carry its content over. Write plain "
    "text, as short as it can be without losing these. Say nothing else.";

static const struct conf *
conf_of(const struct turn *t)
{
	return t->runner->parts.conf;
}

/* ---- when ---- */

/* What the provider said of the last request, and how long it was. */
static int
context_read(const struct turn *t, int64_t *tokens, int64_t *bytes)
{
	return sscanf(t->context, "%" SCNd64 ":%" SCNd64, tokens, bytes) == 2 &&
	       *tokens > 0 && *bytes > 0;
}

static double
bytes_per_token(const struct turn *t)
{
	int64_t tokens, bytes;

	if (!context_read(t, &tokens, &bytes))
		return BYTES_PER_TOKEN;
	return (double)bytes / (double)tokens;
}

int64_t
turn_request_tokens(struct turn *t)
{
	int64_t tokens = 0, bytes = 0;
	int64_t now = (int64_t)t->history->text.len;

	if (!context_read(t, &tokens, &bytes))
		now += (int64_t)(strlen(turn_tools(t)->system) +
				 strlen(turn_tools(t)->advertised));
	if (now > bytes)
		tokens += (int64_t)((double)(now - bytes) / bytes_per_token(t));
	return tokens;
}

int
turn_must_compact(struct turn *t)
{
	const struct conf_model *c = model_conf(t->model);

	return c->context_window > 0 && !t->uncompactable &&
	       turn_request_tokens(t) + c->max_tokens > c->context_window;
}

int
turn_overflows(struct turn *t)
{
	if (t->uncompactable || t->overflowed == t->step)
		return 0;
	t->overflowed = t->step;
	return 1;
}

/* That is why it compacts: the refusal is still there. */
static int
was_refused(const struct turn *t)
{
	return t->result != NULL &&
	       model_call_result(t->result)->failure.kind ==
		   MODEL_CLASS_CONTEXT_LENGTH;
}

void
turn_commit_context(struct turn *t, int64_t tokens)
{
	snprintf(t->context, sizeof(t->context), "%" PRId64 ":%zu", tokens,
	    t->history->text.len);
	journal_op_set(&t->commit, "context", t->context);
}

/* Bytes that a request may have, as far as we know. */
static double
room_of_request(const struct turn *t)
{
	const struct conf_model *c = model_conf(t->model);
	int64_t window = c->context_window, tokens = window - c->max_tokens;
	double refused = REFUSED_PART * (double)t->history->text.len, bytes;

	if (tokens < window / 4)
		tokens = window / 4;
	bytes = (double)tokens * bytes_per_token(t);
	if (was_refused(t) && (window == 0 || refused < bytes))
		return refused;
	return bytes;
}

static size_t
room(const struct turn *t, double part)
{
	return (size_t)(part * room_of_request(t));
}

/* ---- reading ---- */

/* All documents of the history. 0 or -1. */
static int
read_docs(struct turn *t, struct turn_compact *k, struct err *err)
{
	int64_t total = t->history->count;
	struct store_page page;

	k->docs = arena_alloc(k->arena, ((size_t)total + 1) * sizeof(*k->docs));
	while ((int64_t)k->count < total) {
		int64_t n = total - (int64_t)k->count;

		if (store_messages(t->runner->parts.store, k->arena,
			t->lease.user, t->lease.agent, (int64_t)k->count,
			(int)(n < PAGE ? n : PAGE), -1, &page, err) < 0)
			return -1;
		if (page.count == 0)
			return err_set(err, ERR_STORE,
			    "the history is shorter than it was");
		for (size_t i = 0; i < page.count; i++)
			k->docs[k->count++] = page.docs[i];
	}
	return 0;
}

static void
request_build(struct turn *t, struct turn_compact *k)
{
	const struct conf *c = conf_of(t);
	struct buf text;

	compact_transcript(
	    k->arena, k->docs, k->plan.keep_from, room(t, 0.8), &text);
	buf_init(&k->messages, k->arena);
	k->rq = (struct model_request){
		.model =
		    *c->compact_model != '\0'
			? models_find(t->runner->parts.models, c->compact_model)
			: t->model,
		.system = *c->compact_prompt != '\0' ? c->compact_prompt
						     : default_prompt,
		.tools = "",
		.tool_choice = "",
		.schema = "",
		.extra = "",
		.messages = &k->messages,
	};
	k->rq.message_count =
	    form_message(k->arena, k->rq.model, &k->messages, buf_str(&text));
}

/* It goes on as it is, and if the provider has refused that, it fails. */
static enum turn_step
give_up(struct turn *t)
{
	t->uncompactable = 1;
	return was_refused(t) ? turn_other_model(t) : TURN_PRE_MODEL;
}

enum turn_step
step_compact(struct turn *t)
{
	struct turn_compact *k;
	struct err err;

	turn_compact_free(t);
	k = t->compact = arena_new(t->arena, struct turn_compact);
	*k = (struct turn_compact){ .arena = arena_open(65536) };
	if (read_docs(t, k, &err) < 0) {
		log_warn("the history is not compacted: %s", err.text);
		return give_up(t);
	}
	k->plan = compact_plan(k->docs, k->count, t->turn,
	    conf_of(t)->compact_keep_turns, room(t, 0.4));
	if (k->plan.keep_from == 0)
		return give_up(t); /* the turn that runs is all there is */
	request_build(t, k);
	return TURN_SUMMARISE;
}

void
turn_compact_free(struct turn *t)
{
	if (t->compact != NULL)
		arena_close(&t->compact->arena);
	t->compact = NULL;
}

/* ---- the summary ---- */

enum turn_step
step_summarise(struct turn *t)
{
	static const char start[] = ",\"phase\":\"start\"";
	struct turn_compact *k = t->compact;

	if (t->stop != STOP_NO)
		return turn_stopped_step(t);
	log_info(
	    "%zu of %zu messages are summed up", k->plan.keep_from, k->count);
	journal_event(t->log, EVENT_CONTEXT_COMPRESSION, t->step, start,
	    sizeof(start) - 1);
	return turn_call_model(t, &k->rq, TURN_COMPACTED);
}

/* The text of the summary; one that is made without a model, if need be. */
static void
summary_text(struct turn *t, struct buf *out)
{
	const struct model_result *r = model_call_result(t->result);
	struct turn_compact *k = t->compact;

	buf_init(out, k->arena);
	for (int i = 0; i < r->block_count && !r->failure.failed; i++)
		if (r->block[i].kind == MODEL_BLOCK_TEXT)
			buf_add(
			    out, r->block[i].text.data, r->block[i].text.len);
	if (out->len > 0 && strspn(buf_str(out), " \r\n\t") < out->len)
		return;
	log_warn("no summary from the model (%s): a mechanical one takes its "
		 "place",
	    r->failure.failed ? r->failure.message : "it is empty");
	compact_mechanical(
	    k->arena, k->docs, k->plan.keep_from, MECHANICAL_BYTES, out);
}

static const char *
summary_doc(struct turn_compact *k, const struct buf *text)
{
	char id[ID_SIZE];
	struct buf all, doc;

	id_make(id, "msg_");
	buf_init(&all, k->arena);
	buf_printf(
	    &all, "<context-summary>\n%s\n</context-summary>", text->data);
	buf_init(&doc, k->arena);
	buf_printf(&doc,
	    "{\"id\":\"%s\",\"turn\":\"\",\"time\":%" PRId64
	    ",\"kind\":\"summary\",\"role\":\"user\",\"content\":[{\"type\":"
	    "\"text\"",
	    id, clk_shared_ms());
	json_add_strn(&doc, "text", all.data, all.len);
	buf_puts(&doc, "}]}");
	return doc.data;
}

/* The documents of the new segment, and where the running turn begins. */
static size_t
docs_choose(struct turn_compact *k, const char *summary, const char **out,
    size_t *safe_r)
{
	size_t n = 0;

	out[n++] = summary;
	for (size_t i = 0; i < k->plan.keep_from; i++)
		if (compact_is_pinned(k->docs[i]))
			out[n++] = k->docs[i];
	for (size_t i = k->plan.keep_from; i < k->count; i++) {
		if (i == k->plan.turn_from)
			*safe_r = n;
		out[n++] = k->docs[i];
	}
	return n;
}

/* The history as it is from here on. */
static void
history_renew(
    struct turn *t, const char *segment, const char *const *docs, size_t count)
{
	struct history *h = t->history;

	history_restart(h, segment);
	for (size_t i = 0; i < count; i++)
		history_add(h, docs[i], strlen(docs[i]));
	h->version++; /* as the script does */
	snprintf(t->lease.segment, sizeof(t->lease.segment), "%s", segment);
}

static void
commit_end_event(struct turn *t, const struct buf *text, double ratio)
{
	size_t n = text->len > SHOWN_BYTES
		       ? json_utf8_whole(text->data, SHOWN_BYTES)
		       : text->len;
	struct buf b;

	buf_init(&b, t->compact->arena);
	buf_printf(&b, ",\"phase\":\"end\",\"ratio\":%.3f", ratio);
	json_add_strn(&b, "summary", text->data, n);
	turn_commit_event(t, EVENT_CONTEXT_COMPRESSION, b.data);
}

enum turn_step
step_compacted(struct turn *t)
{
	struct turn_compact *k = t->compact;
	double before = (double)t->history->text.len, rate = bytes_per_token(t);
	const char **docs;
	char segment[ID_SIZE];
	struct buf text;
	size_t n, safe = 0;

	if (t->stop != STOP_NO)
		return turn_stopped_step(t);
	summary_text(t, &text);
	docs = arena_alloc(k->arena, (k->count + 2) * sizeof(*docs));
	n = docs_choose(k, summary_doc(k, &text), docs, &safe);
	id_make(segment, "seg_");
	history_renew(t, segment, docs, n);
	journal_commit_init(&t->commit, k->arena);
	turn_count_tokens(t, &model_call_result(t->result)->usage);
	if (!model_call_result(t->result)->failure.failed)
		turn_count_usage(
		    t, k->rq.model, &model_call_result(t->result)->usage);
	commit_end_event(t, &text, (double)t->history->text.len / before);
	turn_commit_context(t, (int64_t)((double)t->history->text.len / rate));
	journal_op_window(&t->commit, segment, safe, docs, n);
	model_call_free(&t->result);
	return turn_commit(t, TURN_PRE_MODEL);
}
