/* SPDX-License-Identifier: MIT */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/event.h"
#include "store/journal.h"

struct arena;
struct buf;
struct conf;

/*
 * What the threads of a worker ask of Redis. Everything here blocks for at
 * most the store's timeouts. Whatever concerns an agent takes the user, who
 * is checked inside, in Redis: an agent of somebody else and one that does
 * not exist give the same ERR_FORBIDDEN. Results are the arena's.
 */
struct store;

struct store *store_new(const struct conf *c);
void store_free(struct store **st_p);
void store_use_budgets(struct store *st); /* there are some */

/* This process, as the holder of leases: HOST.BOOT.PID.START. */
const char *store_holder(const struct store *st);

/*
 * 1 if the holder of a lease is known to be dead: a process of this boot of
 * this host that is gone. 0 if not, or if that cannot be known from here.
 */
int store_holder_dead(const struct store *st, const char *lease);

/* 0 if Redis answers, with the time it took. */
int store_ping(
    struct store *st, struct arena *a, int64_t *us_r, struct err *err);

/*
 * An agent's keys' base, in the arena: {FAMILY}:ID. An agent and its forks
 * have the first characters of their ids in common, and so a hash tag.
 */
char *store_base(const struct store *st, struct arena *a, const char *agent);

/* A key that is not an agent's: prefix and parts, in the arena. */
char *store_key(const struct store *st, struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- agents ---- */

struct store_agent {
	const char *depth;   /* create: of a sub-agent; else NULL */
	const char *lineage; /* ids of those it came from, with spaces, or "" */
	/* "AGENT CALL" that it works for, and whose budget; else NULL */
	const char *task, *purse;
	const char
	    *workspace; /* whose files it works on; NULL or "": its own */
	const char *id; /* create: the one it shall have, or NULL */
	/* create: of a session, the architecture and its options; or NULL */
	const char *session, *options;
	const char *name, *template, *prompt, *model;
	const char *metadata;   /* JSON, or "" */
	const char *tools;      /* JSON array of names, or "" */
	const char *permission; /* JSON, or "" */
	const char *todos;      /* JSON of the list, or "" */
	const char *tenant;     /* of its owner; create alone */
	int64_t created_ms, updated_ms, version;
	const char *state;  /* READY, PRE_MODEL, STREAMING ... */
	const char *turn;   /* "" if none runs */
	int64_t messages;   /* in the history */
	int64_t waiting;    /* in the inbox */
	int64_t windows;    /* of the history, that compaction left */
	const char *last;   /* id of the newest event */
	const char *parent; /* what it was forked from, or "" */
	const char *point;  /* and at which checkpoint, or "" */
};

/*
 * A new agent; id, created and updated are filled in. With a key, a repeated
 * call gives the agent of the first. ERR_LIMIT if the user has too many.
 */
int store_agent_create(struct store *st, struct arena *a, const char *user,
    struct store_agent *ag, const char *idem_key, struct err *err);

int store_agent_get(struct store *st, struct arena *a, const char *user,
    const char *id, struct store_agent *out, struct err *err);

/*
 * Up to limit agents, newest activity first, after the cursor ("" from the
 * start). next_r is the cursor of the rest, or "".
 */
int store_agent_list(struct store *st, struct arena *a, const char *user,
    const char *cursor, int limit, struct store_agent **list_r, size_t *count_r,
    const char **next_r, struct err *err);

/* What an update changes of an agent; NULL: not that. */
struct store_change {
	const char *name, *metadata, *model;
};

/*
 * Sets name and metadata where they are not NULL. if_version < 0: whatever
 * it is; otherwise ERR_PRECONDITION if it is another.
 */
int store_agent_update(struct store *st, struct arena *a, const char *user,
    const char *id, int64_t if_version, const struct store_change *change,
    struct err *err);

/* The agent whose files it works on: itself, or the maker of a sub-agent. */
int store_agent_workspace(struct store *st, struct arena *a, const char *user,
    const char *id, const char **workspace_r, struct err *err);

/* Deletes all of it, and says so to all workers: who runs it stops, and who
 * has its history in memory frees it. */
int store_agent_delete(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err);

/* A page of documents. */
struct store_page {
	const char **docs; /* JSON */
	size_t count;
	int64_t total;    /* messages: in the history */
	int64_t from;     /* messages: index of the first one here */
	const char *last; /* messages: newest event; events: last one here */
	int gap; /* events: the cursor is older than the log, or not of it */
};

/*
 * At most limit messages from index on, or the last ones if from < 0; with
 * last as of the same moment. window < 0: the present history, else the one
 * that a compaction left; ERR_NOT_FOUND if there was none of that number.
 */
int store_messages(struct store *st, struct arena *a, const char *user,
    const char *id, int64_t from, int limit, int64_t window,
    struct store_page *out, struct err *err);

/* At most limit events behind an id. One from the future is of another life of
 * the log: then last is the newest event, from which it can be followed. */
int store_events(struct store *st, struct arena *a, const char *user,
    const char *id, struct event_id after, int limit, struct store_page *out,
    struct err *err);

/* ---- turns and leases ---- */

enum store_start {
	STORE_QUEUED, /* another one runs the agent */
	STORE_WAITS,  /* for room: it is in the queue, which all serve */
	STORE_REPEAT, /* the idempotency key was used before */
	STORE_BEGIN,  /* the lease is ours; a turn has begun */
	STORE_RESUME, /* the lease is ours; a turn goes on */
	STORE_IDLE,   /* nothing to do */
	STORE_HELD,   /* somebody has the lease */
	STORE_PARKED  /* the turn waits for a human, without a lease */
};

/* What taking a lease gives. */
struct store_lease {
	char agent[40];
	char base[JOURNAL_BASE_SIZE];
	char value[LEASE_SIZE];
	struct event_id prev; /* the event before its first */
	char user[256];
	char tenant[128]; /* "" none */
	char turn[40], segment[40];
	int64_t version; /* of the agent's info */
	int64_t step, resumes;
	int64_t tokens; /* that the turn has used */
	int64_t depth;  /* 0, or how many agents stand above this one */
	char task[128]; /* "AGENT CALL" that the turn works for, or "" */
	struct budget_lease budget;
	char state[32];   /* RESUME: where it was */
	char context[48]; /* TOKENS:BYTES of the last request, or "" */
	int64_t messages; /* in the history, the new one included */
	int interrupted;  /* the turn was interrupted before it got here */
	const char *const *docs; /* its last ones, if few are new */
	size_t doc_count;
	int has_info; /* version is not the one that the caller knew: */
	const char *prompt, *model, *template;
	const char *tools;        /* JSON array of names, or "" */
	const char *permission;   /* JSON, or "" */
	const char *workspace;    /* whose files it works on; "" its own */
	const char *name;         /* what its owner calls it */
	const char *todos;        /* JSON of the todo list, or "" */
	const char *const *calls; /* RESUME: records of the step's tool calls */
	const char *lineage;      /* ids of those it came from, with spaces */
	const char *call_ids;     /* their ids, with spaces between */
	size_t call_count;
	const char *const *decided; /* and decisions on them, or "" */
	const char *const *events;  /* JSON of the first events of the epoch */
	size_t event_count;
};

enum store_on_busy {
	ON_BUSY_ENQUEUE,
	ON_BUSY_REJECT,
	ON_BUSY_INTERRUPT,
	ON_BUSY_MERGE, /* into the turn of those that wait */
	ON_BUSY_STEER  /* into the turn that runs */
};

/* Whether the caller can run a turn. */
enum store_room {
	STORE_ROOM_NONE,   /* nor later: the message is refused */
	STORE_ROOM_LATER,  /* it may wait in the queue */
	STORE_ROOM_NOW,    /* unless others wait */
	STORE_ROOM_FORCED, /* whoever waits */
};

/* What a process has of an agent. */
struct store_known {
	int64_t version; /* 0 nothing */
	int64_t messages;
};

struct store_message {
	char id[32];
	char turn[32];
	const char *content; /* JSON array of blocks */
	size_t content_len;
	const char *idem_key; /* "" if the client gave none */
	enum store_on_busy on_busy;
	int pinned;           /* it stays when the history is compacted */
	const char *options;  /* JSON, for its turn; NULL: none */
	const char *trace;    /* the traceparent of its request; NULL: none */
	enum store_room room; /* for a turn here */
	int64_t running;      /* turns of the user that are known of */
	struct store_known known;
};

struct store_accepted {
	enum store_start start;
	const char *message;
	const char *turn;
	const char *after;   /* the event just before the message */
	int over;            /* STORE_REPEAT: its turn has ended */
	const char *holder;  /* STORE_QUEUED: the lease, "" if it is parked */
	const char *running; /* and the turn that runs */
	struct store_lease lease; /* BEGIN and RESUME */
};

/*
 * Keeps a message: it cannot be lost from here on. m gets its ids. Fails with
 * ERR_FORBIDDEN, ERR_CONFLICT (reject), ERR_LIMIT (inbox full), ERR_OVERLOAD
 * (no room for a turn, nor in the queue).
 */
int store_accept(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_message *m, struct store_accepted *out,
    struct err *err);

/*
 * Takes the lease of an agent if nobody holds it, or if its value is
 * expected. BEGIN, RESUME, IDLE, HELD or PARKED in *start_r.
 */
int store_take(struct store *st, struct arena *a, const char *base,
    const char *expected, enum store_start *start_r,
    struct store_lease *lease_r, struct err *err);

/* How many agents wait for room, and since when the first does; 0: nobody.
 * The time is Redis's. 0, or -1. Blocks. */
int store_queue(struct store *st, struct arena *a, int64_t *count_r,
    int64_t *age_ms_r, struct err *err);

/*
 * Takes up the agent that comes next of those that wait for room; the caller
 * has it. 1 and its lease, BEGIN or RESUME; 0 nobody waits; -1.
 */
int store_dequeue(struct store *st, struct arena *a,
    struct store_lease *lease_r, struct err *err);

/*
 * Marks the running turn as interrupted. 1 and the turn, the lease of its
 * holder ("" if it is parked) and the newest event id; 0 if none runs; -1.
 */
int store_interrupt(struct store *st, struct arena *a, const char *user,
    const char *agent, const char **turn_r, const char **lease_r,
    const char **last_r, struct err *err);

/* Tells the holder of a lease something: "interrupt AGENT TURN". */
int store_tell(struct store *st, struct arena *a, const char *lease,
    const char *what, struct err *err);

struct store_leased {
	const char *base;
	const char *value; /* "" if it ran out, or the turn is parked */
	int64_t deadline_ms;
};

/* The leases on record whose deadline is before before_ms. Times are of the
 * shared clock (base/clk.h), which this sets, too. */
int store_leases(struct store *st, struct arena *a, int64_t before_ms,
    struct store_leased **list_r, size_t *count_r, struct err *err);

#endif
