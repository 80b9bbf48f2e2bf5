/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_PAGE_PRIV_H
#define BRIDGE_PAGE_PRIV_H

#include <uthash.h>

#include "base/id.h"
#include "bridge/guests.h"
#include "bridge/page_hub.h"
#include "bridge/page_message.h"
#include "store/page_server.h"

struct buf;
struct page;
struct page_job;
struct page_request;

enum page_state {
	PAGE_ASKING, /* who it is */
	PAGE_COMING, /* it is known, and not in Redis yet */
	PAGE_OPEN,
	PAGE_OVER /* it is being closed */
};

/* By which way a page is there. */
struct page_way {
	/* It is OPEN: it gets its id, and may speak. */
	void (*greet)(struct page *p);
	/* A message, JSON, of that type. */
	void (*send)(struct page *p, const char *type, const struct buf *text);
	/* Its heartbeat: 1 if it is there. */
	int (*beat)(struct page *p);
};

/* A connection, and who is at its other end. */
struct page {
	UT_hash_handle hh; /* by client */
	char client[ID_UUID_SIZE];
	struct page_hub *all;
	const struct page_way *way;
	enum page_state state;
	const char *user; /* of whoever keeps the guest; NULL: not known */
	struct loop_timer *heart;
	unsigned putting : 1; /* Redis has not answered yet */
	unsigned stale : 1;   /* what it has is not what it should have */

	enum page_dialect dialect;
	char *capabilities; /* a list in the form of B1; NULL: none said */
	size_t capabilities_len;
	int64_t since_ms;

	struct page_job *jobs; /* what it is asked, the oldest first */
	struct page_job *slot; /* B2: the component's that it is at */
	int64_t job_count;

	struct sio_socket *socket; /* by Socket.IO, which has all else */

	struct web_conn *web; /* by WebSocket, and what is for that alone */
	struct guest guest;
	char *address, *authorization, *ticket; /* or NULL */
	unsigned shown : 1;                     /* anything, good or not */
	unsigned awaited : 1;                   /* a ping's answer */
	struct who *who;
	int64_t paid_us;               /* messages, for pace_take */
	struct page_request *requests; /* B2, an agent's: to the pool */
	int request_count;
};

struct page_hub {
	struct loop *loop;
	const struct conf *conf;
	struct asker *asker;
	struct tallies *tallies;
	struct page_server *server;
	struct page *pages;
	struct page_job *jobs; /* by request */
};

/* ---- page_hub.c ---- */

/* One that nobody knows yet. */
struct page *page_new(struct page_hub *all, const struct page_way *way);
void page_free(struct page *p);

/* It is this user's: it comes into Redis, and is greeted then. */
void page_enter(struct page *p, const char *user);

/* What it says. */
void page_take(struct page *p, const struct page_message *m);

/* Sends a message, JSON, of a type. */
void page_send(struct page *p, const char *type, const struct buf *text);

/* {"type":"error", ...}; to and correlation may be NULL. */
void page_send_error(struct page *p, const char *correlation, const char *code,
    const char *message);

/* Appends {"type":TYPE,"id":UUID,"timestamp":NOW, without its end. */
void page_open_message(struct buf *b, const char *type);

/* ---- page_jobs.c ---- */

/* What it is asked to do; an answer comes in any case. */
void page_job_start(struct page_hub *all, const struct page_order *order);

/* Nobody waits for it any more. */
void page_job_cancel(struct page_hub *all, const char *request);

/* A RESPONSE, RESULT or ERROR of the page's. */
void page_job_answer(struct page *p, const struct page_message *m);

/* The page goes: none of its jobs will be done. */
void page_jobs_fail(struct page *p);

/* ---- page_agent.c ---- */

/* A QUERY or CALL. */
void page_agent_ask(struct page *p, const struct page_message *m);
void page_agent_cancel(struct page *p);

#endif
