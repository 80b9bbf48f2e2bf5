/* SPDX-License-Identifier: MIT */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H

#include "base/buf.h"
#include "base/trace.h"
#include "store/store.h"

/*
 * Histories of the agents that this process served lately, ready to be sent
 * to a model. A turn checks one out, and is then alone with it.
 */
struct history_cache;

/* A document of the history. */
struct history_doc {
	const char *text; /* "role":R,"content":C}, without the first brace:
			     all that a model gets */
	size_t len;
	const char *head; /* {"id":...: the members before those, cut off */
	size_t head_len;
};

/* How a model wants the messages. */
struct history_form {
	const char *start; /* of the text */
	int plain;         /* the text has the documents as they are */
	size_t state_bytes;

	/* Before add, for what a document changes of those before it; it
	 * stays changed if the document is withdrawn. NULL: nothing. */
	void (*before)(const struct history_form *f, void *state,
	    struct buf *text, const struct history_doc *doc);

	/* Appends one to the text. state is the history's for this form:
	 * state_bytes, zero at first; of plain types. */
	void (*add)(const struct history_form *f, void *state, struct buf *text,
	    const struct history_doc *doc);
};

/* The form for agents with that model; any thread. */
typedef const struct history_form *history_choose_f(
    void *ctx, const char *model);

struct history {
	char agent[40];
	char segment[40];
	int64_t count;   /* documents of the history that are in text */
	size_t last_at;  /* where in text the last one begins; 0: withdrawn */
	int64_t version; /* of the agent when the rest was read; 0: not yet */
	char *prompt;
	char *model;
	char *template;
	char *tools;
	char *permission;
	char *workspace; /* whose files it works on; "" its own */
	char *name;      /* what its owner calls it */
	char *options;   /* JSON, of the last turn's messages; NULL: none */
	char options_turn[40];
	char trace[TRACE_SIZE]; /* traceparent of that turn's request, or "" */

	/*
	 * The messages as the model takes them: a request is this and a tail
	 * that is put behind it and taken off again. Nothing is copied,
	 * however long it is.
	 */
	struct buf text;
	const struct history_form *form; /* NULL: nothing is in text */
	void *state, *state_before;      /* of the form; before the last one */
	int form_used;                   /* history_use said it */
	struct buf last; /* the last document, unless the form is plain */
};

/* choose NULL: all are in the plain form, {"messages":[ and documents. */
struct history_cache *history_cache_new(
    size_t max_bytes, history_choose_f *choose, void *ctx);
void history_cache_free(struct history_cache **hc_p);

/* Drops what was given back so long ago, and not taken since. Any thread. */
void history_cache_forget(struct history_cache *hc, int64_t idle_ms);

/* Frees what is kept of an agent that is no more. Any thread. */
void history_cache_drop(struct history_cache *hc, const char *agent);

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

/* Empty and in another form, until it is given back. */
void history_use(struct history *h, const struct history_form *form);

/* Fills it again, up to count documents. Blocks. 0 or -1. */
int history_refill(struct history *h, struct store *st,
    const struct store_lease *lease, int64_t count, struct err *err);

/* The last document as it is, {"role":R,"content":C}; NULL: it was taken
 * back. The history's, until it changes. */
const char *history_last(const struct history *h, size_t *len_r);

/*
 * Appends one document of the history, as the model gets it. One with the
 * member error says that a turn failed, and is not for the model; if it has
 * withdrawn too, the message of that turn is taken back: a provider that
 * refused it once would refuse every later request that has it.
 */
void history_add(struct history *h, const char *doc, size_t len);

#endif
