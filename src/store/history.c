/* SPDX-License-Identifier: MIT */
/*
 * The cache of histories: an LRU, bounded by bytes.
 *
 * A history only grows, so what is cached is never wrong, only short: what a
 * turn costs does not depend on how long the conversation is. A turn that
 * fails to write gives its copy back as not to be trusted.
 *
 * Documents in Redis are {"id":...,"turn":...,"time":...,"role":R,
 * "content":C}; a model wants {"role":R,"content":C}, which is the document
 * from its "role" on. We write them ourselves and in this order, and a quote
 * inside of a string is escaped, so the first "role": is the member.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/lck.h"
#include "store/history.h"
#include "store/store_priv.h"

#define PAGE 256 /* messages fetched at a time */

struct entry {
	struct history h; /* first */
	struct history_cache *cache;
	UT_hash_handle hh;
	struct entry *newer, *older;
	size_t bytes;
	int64_t given_ms; /* monotonic */
};

struct history_cache {
	struct lck lck;
	struct entry *by_agent;
	struct entry *newest, *oldest;
	size_t bytes, max_bytes;
	history_choose_f *choose;
	void *ctx;
};

static void
add_plain(const struct history_form *f, void *state, struct buf *text,
    const struct history_doc *doc)
{
	int64_t *shown = state;

	(void)f;
	if ((*shown)++ > 0)
		buf_putc(text, ',');
	buf_putc(text, '{');
	buf_add(text, doc->text, doc->len);
}

static const struct history_form plain = {
	.start = "{\"messages\":[",
	.plain = 1,
	.state_bytes = sizeof(int64_t),
	.add = add_plain,
};

struct history_cache *
history_cache_new(size_t max_bytes, history_choose_f *choose, void *ctx)
{
	struct history_cache *hc = calloc(1, sizeof(*hc));

	if (hc == NULL)
		abort();
	hc->max_bytes = max_bytes;
	hc->choose = choose;
	hc->ctx = ctx;
	lck_init(&hc->lck, LCK_CACHE);
	return hc;
}

static void
entry_free(struct entry *e)
{
	buf_fini(&e->h.text);
	buf_fini(&e->h.last);
	free(e->h.state);
	free(e->h.state_before);
	free(e->h.prompt);
	free(e->h.model);
	free(e->h.template);
	free(e->h.tools);
	free(e->h.permission);
	free(e->h.workspace);
	free(e->h.name);
	free(e->h.options);
	free(e);
}

static void
entry_unlink(struct history_cache *hc, struct entry *e)
{
	HASH_DEL(hc->by_agent, e);
	if (e->newer != NULL)
		e->newer->older = e->older;
	else
		hc->newest = e->older;
	if (e->older != NULL)
		e->older->newer = e->newer;
	else
		hc->oldest = e->newer;
	hc->bytes -= e->bytes;
}

static void
entry_link(struct history_cache *hc, struct entry *e)
{
	HASH_ADD_STR(hc->by_agent, h.agent, e);
	e->newer = NULL;
	e->older = hc->newest;
	if (e->older != NULL)
		e->older->newer = e;
	else
		hc->oldest = e;
	hc->newest = e;
	hc->bytes += e->bytes;
}

void
history_cache_free(struct history_cache **hc_p)
{
	struct history_cache *hc = *hc_p;
	struct entry *e;

	if (hc == NULL)
		return;
	*hc_p = NULL;
	while ((e = hc->oldest) != NULL) {
		entry_unlink(hc, e);
		entry_free(e);
	}
	lck_fini(&hc->lck);
	free(hc);
}

struct store_known
history_cache_known(struct history_cache *hc, const char *agent)
{
	struct store_known known = { 0, 0 };
	struct entry *e;

	lck_take(&hc->lck);
	HASH_FIND_STR(hc->by_agent, agent, e);
	if (e != NULL)
		known = (struct store_known){ e->h.version, e->h.count };
	lck_drop(&hc->lck);
	return known;
}

struct history *
history_take(struct history_cache *hc, const char *agent)
{
	struct entry *e;

	lck_take(&hc->lck);
	HASH_FIND_STR(hc->by_agent, agent, e);
	if (e != NULL)
		entry_unlink(hc, e);
	lck_drop(&hc->lck);
	if (e == NULL) {
		e = calloc(1, sizeof(*e));
		if (e == NULL)
			abort();
		snprintf(e->h.agent, sizeof(e->h.agent), "%s", agent);
		buf_init(&e->h.text, NULL);
		buf_init(&e->h.last, NULL);
		e->cache = hc;
	}
	return &e->h;
}

/* Takes out what is over the bound, or was given back before a time; freed by
 * the caller, without the lock. */
static struct entry *
cache_evict(struct history_cache *hc, int64_t before_ms)
{
	struct entry *e, *evicted = NULL;

	while ((e = hc->oldest) != NULL &&
	       (hc->bytes > hc->max_bytes || e->given_ms < before_ms)) {
		entry_unlink(hc, e);
		e->older = evicted;
		evicted = e;
	}
	return evicted;
}

static void
free_evicted(struct entry *e)
{
	struct entry *next;

	for (; e != NULL; e = next) {
		next = e->older;
		entry_free(e);
	}
}

void
history_cache_forget(struct history_cache *hc, int64_t idle_ms)
{
	struct entry *e;

	lck_take(&hc->lck);
	e = cache_evict(hc, clk_mono_ms() - idle_ms);
	lck_drop(&hc->lck);
	free_evicted(e);
}

void
history_cache_drop(struct history_cache *hc, const char *agent)
{
	struct entry *e;

	lck_take(&hc->lck);
	HASH_FIND_STR(hc->by_agent, agent, e);
	if (e != NULL)
		entry_unlink(hc, e);
	lck_drop(&hc->lck);
	if (e != NULL)
		entry_free(e);
}

void
history_give(struct history_cache *hc, struct history *h, int keep)
{
	struct entry *e = (struct entry *)(void *)h, *same;

	h->form_used = 0;
	if (!keep) {
		entry_free(e);
		return;
	}
	e->bytes = sizeof(*e) + e->h.text.cap + e->h.last.cap +
		   (e->h.form == NULL ? 0 : 2 * e->h.form->state_bytes) +
		   (e->h.options == NULL ? 0 : strlen(e->h.options)) +
		   (e->h.prompt == NULL ? 0 : strlen(e->h.prompt));
	e->given_ms = clk_mono_ms();
	lck_take(&hc->lck);
	HASH_FIND_STR(hc->by_agent, e->h.agent, same);
	if (same != NULL)
		entry_unlink(hc, same);
	entry_link(hc, e);
	e = cache_evict(hc, INT64_MIN);
	lck_drop(&hc->lck);
	if (same != NULL)
		entry_free(same);
	free_evicted(e);
}

/* 1 if the members before "role" have this one. */
static int
head_has(const char *doc, const char *role, const char *member)
{
	return memmem(doc, (size_t)(role - doc), member, strlen(member)) !=
	       NULL;
}

/* Takes the last message back. */
static void
history_withdraw(struct history *h)
{
	if (h->last_at == 0)
		return;
	buf_truncate(&h->text, h->last_at);
	memcpy(h->state, h->state_before, h->form->state_bytes);
	h->last_at = 0;
}

static const struct history_form *
form_of(const struct history_cache *hc, const char *model)
{
	return hc->choose == NULL ? &plain : hc->choose(hc->ctx, model);
}

static void
history_set_form(struct history *h, const struct history_form *form)
{
	h->form = form;
	free(h->state);
	free(h->state_before);
	h->state = calloc(1, form->state_bytes + 1);
	h->state_before = calloc(1, form->state_bytes + 1);
	if (h->state == NULL || h->state_before == NULL)
		abort();
	history_restart(h, h->segment);
}

void
history_use(struct history *h, const struct history_form *form)
{
	h->form_used = 1;
	if (h->form != form)
		history_set_form(h, form);
}

/* Which form it is to have, if that is known by now. */
static void
history_check_form(struct history *h)
{
	struct entry *e = (struct entry *)(void *)h;
	const struct history_form *form =
	    form_of(e->cache, h->model == NULL ? "" : h->model);

	if (h->form != form && !h->form_used)
		history_set_form(h, form);
}

const char *
history_last(const struct history *h, size_t *len_r)
{
	size_t at = h->last_at;

	if (at == 0)
		return NULL;
	if (!h->form->plain) {
		*len_r = h->last.len;
		return buf_str(&h->last);
	}
	at += h->text.data[at] == ',';
	*len_r = h->text.len - at;
	return h->text.data + at;
}

/* From "role" on it is what a model gets. */
static void
history_show(struct history *h, const char *doc, const char *role, size_t len)
{
	const struct history_doc d = {
		.text = role,
		.len = len - (size_t)(role - doc),
		.head = doc,
		.head_len = (size_t)(role - doc) - 1, /* without the comma */
	};

	if (h->form->before != NULL)
		h->form->before(h->form, h->state, &h->text, &d);
	h->last_at = h->text.len;
	memcpy(h->state_before, h->state, h->form->state_bytes);
	h->form->add(h->form, h->state, &h->text, &d);
	if (h->form->plain)
		return;
	buf_clear(&h->last);
	buf_putc(&h->last, '{');
	buf_add(&h->last, d.text, d.len);
}

static void
set_text(char **at, const char *text)
{
	free(*at);
	*at = strdup(text);
	if (*at == NULL)
		abort();
}

/* A message of another turn than the last: what that wanted is over. */
static void
check_options_turn(struct history *h, const char *doc, const char *role)
{
	static const char member[] = "\"turn\":\"";
	const char *turn =
	    memmem(doc, (size_t)(role - doc), member, sizeof(member) - 1);
	char id[sizeof(h->options_turn)] = "";

	if (turn != NULL)
		snprintf(id, sizeof(id), "%.*s",
		    (int)strcspn(turn + sizeof(member) - 1, "\""),
		    turn + sizeof(member) - 1);
	if (strcmp(id, h->options_turn) == 0)
		return;
	strcpy(h->options_turn, id);
	free(h->options);
	h->options = NULL;
	h->trace[0] = '\0';
}

static void
take_trace(struct history *h, const char *doc, const char *role)
{
	static const char member[] = "\"trace\":\"";
	const char *at =
	    memmem(doc, (size_t)(role - doc), member, sizeof(member) - 1);

	if (at != NULL)
		snprintf(h->trace, sizeof(h->trace), "%.*s",
		    (int)strcspn(at + sizeof(member) - 1, "\""),
		    at + sizeof(member) - 1);
}

/* What the user's messages want of their turn; of those of one turn the last
 * that says something counts. */
static void
take_options(struct history *h, const char *doc, const char *role)
{
	struct arena *a;
	const char *options;
	char *head;
	size_t n = (size_t)(role - doc) - 1;

	if (strncmp(role, "\"role\":\"user\"", 13) != 0 ||
	    head_has(doc, role, "\"kind\":"))
		return;
	check_options_turn(h, doc, role);
	take_trace(h, doc, role);
	if (!head_has(doc, role, "\"options\":\""))
		return;
	a = arena_open(n + 64);
	head = arena_memdup(a, doc, n + 1);
	head[n] = '}';
	options = json_get_str(
	    json_parse(a, head, n + 1, JSON_DEPTH_MAX, NULL), "options");
	if (options != NULL)
		set_text(&h->options, options);
	arena_close(&a);
}

void
history_add(struct history *h, const char *doc, size_t len)
{
	const char *role = memmem(doc, len, "\"role\":", 7);

	if (role == NULL)
		abort(); /* we did not write this */
	if (h->form == NULL)
		history_check_form(h);
	h->count++;
	take_options(h, doc, role);
	if (head_has(doc, role, "\"withdrawn\":true"))
		history_withdraw(h);
	if (!head_has(doc, role, "\"error\":{"))
		history_show(h, doc, role, len);
}

static void
history_set_info(struct history *h, const struct store_lease *lease)
{
	set_text(&h->prompt, lease->prompt);
	set_text(&h->model, lease->model);
	set_text(&h->template, lease->template);
	set_text(&h->tools, lease->tools);
	set_text(&h->permission, lease->permission);
	set_text(&h->workspace, lease->workspace);
	set_text(&h->name, lease->name);
	h->version = lease->version;
}

/* The agent's prompt and tools, if they changed since they were read. */
static int
load_info(struct history *h, struct store *st, struct arena *a,
    const struct store_lease *lease, struct err *err)
{
	struct store_lease full = *lease;
	const struct redis_reply *r;
	struct redis_pipe p;

	if (h->version == lease->version)
		return 0;
	if (lease->has_info) {
		history_set_info(h, lease);
		return 0;
	}
	redis_pipe_init(&p, a);
	redis_cmd(&p, "HMGET", arena_printf(a, "%s:info", lease->base),
	    "prompt", "model", "template", "tools", "permission", "workspace",
	    "name", NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	full.prompt = redis_text(&r[0].items[0]);
	full.model = redis_text(&r[0].items[1]);
	full.template = redis_text(&r[0].items[2]);
	full.tools = redis_text(&r[0].items[3]);
	full.permission = redis_text(&r[0].items[4]);
	full.workspace = redis_text(&r[0].items[5]);
	full.name = redis_text(&r[0].items[6]);
	history_set_info(h, &full);
	return 0;
}

/* What was read may have been written by somebody else. */
static int
add_checked(struct history *h, const char *doc, struct err *err)
{
	if (json_check(doc, strlen(doc), JSON_DEPTH_MAX, NULL) < 0 ||
	    strstr(doc, "\"role\":") == NULL)
		return err_set(err, ERR_INVALID,
		    "message %lld of the history is damaged: it is no JSON "
		    "document of ours",
		    (long long)h->count);
	history_add(h, doc, strlen(doc));
	return 0;
}

static int
load_page(struct history *h, struct store *st, struct arena *a,
    const struct store_lease *lease, int64_t upto, struct err *err)
{
	int64_t n = upto - h->count < PAGE ? upto - h->count : PAGE;
	struct store_page page;

	if (store_messages(st, a, lease->user, lease->agent, h->count, (int)n,
		-1, &page, err) < 0)
		return -1;
	if (page.count == 0)
		return err_set(
		    err, ERR_STORE, "the history is shorter than Redis said");
	for (size_t i = 0; i < page.count; i++)
		if (add_checked(h, page.docs[i], err) < 0)
			return -1;
	return 0;
}

void
history_restart(struct history *h, const char *segment)
{
	if (segment != h->segment)
		snprintf(h->segment, sizeof(h->segment), "%s", segment);
	buf_truncate(&h->text, 0);
	buf_puts(&h->text, h->form->start);
	memset(h->state, 0, h->form->state_bytes);
	h->count = 0;
	h->last_at = 0;
}

/* What was cached is of another history: the agent was rewound or compacted. */
static void
history_check(struct history *h, const struct store_lease *lease)
{
	if (strcmp(h->segment, lease->segment) == 0)
		return;
	if (h->form != NULL)
		history_restart(h, lease->segment);
	else
		snprintf(h->segment, sizeof(h->segment), "%s", lease->segment);
}

int
history_is_near(struct history *h, const struct store_lease *lease)
{
	history_check(h, lease);
	if (h->version != lease->version && !lease->has_info)
		return 0;
	if (h->version != lease->version)
		history_set_info(h, lease);
	history_check_form(h);
	return h->count >= lease->messages - (int64_t)lease->doc_count;
}

/* What h has not seen of the first messages. 0 or -1. */
static int
load_pages(struct history *h, struct store *st, const struct store_lease *lease,
    int64_t upto, struct err *err)
{
	struct arena *page = arena_open(65536);
	int rc = 0;

	while (rc == 0 && h->count < upto) {
		arena_reset(page);
		rc = load_page(h, st, page, lease, upto, err);
	}
	arena_close(&page);
	return rc;
}

int
history_load(struct history *h, struct store *st, struct arena *a,
    const struct store_lease *lease, struct err *err)
{
	int64_t brought = lease->messages - (int64_t)lease->doc_count;
	const char *doc;

	history_check(h, lease);
	if (load_info(h, st, a, lease, err) < 0)
		return -1;
	history_check_form(h);
	if (h->count < brought && load_pages(h, st, lease, brought, err) < 0)
		return -1;
	while (h->count < lease->messages) {
		doc = lease->docs[h->count - brought];
		if (add_checked(h, doc, err) < 0)
			return -1;
	}
	return 0;
}

int
history_refill(struct history *h, struct store *st,
    const struct store_lease *lease, int64_t count, struct err *err)
{
	return load_pages(h, st, lease, count, err);
}
