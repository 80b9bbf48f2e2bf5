/* SPDX-License-Identifier: MIT */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H

#include "base/buf.h"
#include "store/store.h"

/*
 * Histories of the agents that this process served lately, ready to be sent
 * to a model. A turn checks one out, and is then alone with it.
 */
struct history_cache;

struct history {
	char agent[40];
	char segment[40];
	int64_t count;   /* documents of the history that are in text */
	int64_t shown;   /* of them, messages that the model gets */
	size_t last_at;  /* where in text the last one begins */
	int64_t version; /* of the agent when the rest was read; 0: not yet */
	char *prompt;
	char *model;
	char *template;
	char *tools;
	char *permission;
	char *workspace; /* whose files it works on; "" its own */

	/*
	 * {"messages":[ and the messages as providers take them, with commas
	 * between: a request is this and a tail that is put behind it and
	 * taken off again. Nothing is copied, however long it is.
	 */
	struct buf text;
};

struct history_cache *history_cache_new(size_t max_bytes);
void history_cache_free(struct history_cache **hc_p);

/* What is cached of an agent. Any thread. */
struct store_known history_cache_known(
    struct history_cache *hc, const char *agent);

/* What is known of an agent, perhaps nothing yet. Never NULL. */
struct history *history_take(struct history_cache *hc, const char *agent);

/* Gives it back; keep 0: what is in it is not to be trusted any more. */
void history_give(struct history_cache *hc, struct history *h, int keep);

/*
 * 1 if history_load would ask Redis for nothing, and so would not block.
 * Forgets what is of another history than the lease's.
 */
int history_is_near(struct history *h, const struct store_lease *lease);

/*
 * Brings h up to date for a lease: fetches what it has not seen of the first
 * lease->messages messages, and the agent's prompt and model. Blocks.
 */
int history_load(struct history *h, struct store *st, struct arena *a,
    const struct store_lease *lease, struct err *err);

/* Empty, for the history that grows in another segment. */
void history_restart(struct history *h, const char *segment);

/*
 * Appends one document of the history, as the model gets it. One with the
 * member error says that a turn failed, and is not for the model; if it has
 * withdrawn too, the message of that turn is taken back: a provider that
 * refused it once would refuse every later request that has it.
 */
void history_add(struct history *h, const char *doc, size_t len);

#endif
