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
#include "base/json.h"
#include "base/lck.h"
#include "store/history.h"
#include "store/store_priv.h"

#define PAGE 256 /* messages fetched at a time */

struct entry {
	struct history h; /* first */
	UT_hash_handle hh;
	struct entry *newer, *older;
	size_t bytes;
};

struct history_cache {
	struct lck lck;
	struct entry *by_agent;
	struct entry *newest, *oldest;
	size_t bytes, max_bytes;
};

struct history_cache *
history_cache_new(size_t max_bytes)
{
	struct history_cache *hc = calloc(1, sizeof(*hc));

	if (hc == NULL)
		abort();
	hc->max_bytes = max_bytes;
	lck_init(&hc->lck, LCK_CACHE);
	return hc;
}

static void
entry_free(struct entry *e)
{
	buf_fini(&e->h.text);
	free(e->h.prompt);
	free(e->h.model);
	free(e->h.template);
	free(e->h.tools);
	free(e->h.permission);
	free(e->h.workspace);
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
		buf_lit(&e->h.text, "{\"messages\":[");
	}
	return &e->h;
}

/* Takes out what is over the bound; freed by the caller, without the lock. */
static struct entry *
cache_evict(struct history_cache *hc)
{
	struct entry *e, *evicted = NULL;

	while (hc->bytes > hc->max_bytes && (e = hc->oldest) != NULL) {
		entry_unlink(hc, e);
		e->older = evicted;
		evicted = e;
	}
	return evicted;
}

void
history_give(struct history_cache *hc, struct history *h, int keep)
{
	struct entry *e = (struct entry *)(void *)h, *same, *next;

	if (!keep) {
		entry_free(e);
		return;
	}
	e->bytes = sizeof(*e) + e->h.text.cap +
		   (e->h.prompt == NULL ? 0 : strlen(e->h.prompt));
	lck_take(&hc->lck);
	HASH_FIND_STR(hc->by_agent, e->h.agent, same);
	if (same != NULL)
		entry_unlink(hc, same);
	entry_link(hc, e);
	e = cache_evict(hc);
	lck_drop(&hc->lck);
	if (same != NULL)
		entry_free(same);
	for (; e != NULL; e = next) {
		next = e->older;
		entry_free(e);
	}
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
	if (h->shown == 0 || h->last_at == 0)
		return;
	buf_truncate(&h->text, h->last_at);
	h->last_at = 0;
	h->shown--;
}

void
history_add(struct history *h, const char *doc, size_t len)
{
	const char *role = memmem(doc, len, "\"role\":", 7);

	if (role == NULL)
		abort(); /* we did not write this */
	h->count++;
	if (head_has(doc, role, "\"withdrawn\":true"))
		history_withdraw(h);
	if (head_has(doc, role, "\"error\":{"))
		return;
	h->last_at = h->text.len;
	if (h->shown++ > 0)
		buf_putc(&h->text, ',');
	buf_putc(&h->text, '{');
	buf_add(&h->text, role, len - (size_t)(role - doc));
}

static void
set_text(char **at, const char *text)
{
	free(*at);
	*at = strdup(text);
	if (*at == NULL)
		abort();
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
	    NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	full.prompt = redis_text(&r[0].items[0]);
	full.model = redis_text(&r[0].items[1]);
	full.template = redis_text(&r[0].items[2]);
	full.tools = redis_text(&r[0].items[3]);
	full.permission = redis_text(&r[0].items[4]);
	full.workspace = redis_text(&r[0].items[5]);
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
	snprintf(h->segment, sizeof(h->segment), "%s", segment);
	buf_truncate(&h->text, 0);
	buf_lit(&h->text, "{\"messages\":[");
	h->count = 0;
	h->shown = 0;
	h->last_at = 0;
}

/* What was cached is of another history: the agent was rewound or compacted. */
static void
history_check(struct history *h, const struct store_lease *lease)
{
	if (strcmp(h->segment, lease->segment) != 0)
		history_restart(h, lease->segment);
}

int
history_is_near(struct history *h, const struct store_lease *lease)
{
	history_check(h, lease);
	return (h->version == lease->version || lease->has_info) &&
	       h->count >= lease->messages - (int64_t)lease->doc_count;
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
	if (h->count < brought && load_pages(h, st, lease, brought, err) < 0)
		return -1;
	while (h->count < lease->messages) {
		doc = lease->docs[h->count - brought];
		if (add_checked(h, doc, err) < 0)
			return -1;
	}
	return 0;
}
