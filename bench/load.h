/* SPDX-License-Identifier: MIT */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "http.h"
#include "net.h"

/* The three parts of bench-load: modes and report, clients, APIs. */

enum load_request {
	LOAD_CHAT,
	LOAD_VIEW,
	LOAD_CREATE,
	LOAD_DELETE,
	LOAD_REQUEST_COUNT
};

enum load_fail {
	FAIL_CONNECT,
	FAIL_STATUS, /* not 200, 201, 204; counted by status as well */
	FAIL_CUT,    /* the stream or the message ended too early */
	FAIL_RESET,  /* the connection broke */
	FAIL_TIMEOUT,
	FAIL_EVENT,  /* the stream said that the turn failed */
	FAIL_SHORT,  /* ended well, but not with --expect tokens */
	FAIL_FORMAT, /* not HTTP, or not what the API promises */
	FAIL_COUNT
};

struct client {
	int fd;
	size_t index;
	int active;    /* a request is out */
	int held;      /* a viewer that has its header */
	int fresh;     /* no byte of the answer yet */
	int connected; /* a byte was sent on this connection */
	struct http in;
	struct buf line; /* of a stream, unfinished; or the whole JSON */
	struct buf out;
	size_t sent;
	int64_t request; /* its number */
	int64_t start_us;
	int64_t text_us; /* time of the last read with text, 0: none */
	int64_t read_us; /* time of the read that is worked on */
	int tokens;
	int done;   /* the last event was seen */
	int failed; /* the stream said that the turn failed */
};

struct load_mark; /* how an event is recognised: load_api.c */

struct load_api {
	const char *name;
	const char *key;  /* what stands before an event's kind */
	const char *good; /* what a last event must contain, or NULL */
	const struct load_mark *marks;
	/* Each writes a request into client->out; NULL: there is none. */
	void (*make[LOAD_REQUEST_COUNT])(struct client *);
};

/* The command line. */
struct load_opt {
	const char *api, *ids, *token, *token_file, *host, *message, *model;
	int port, clients, count, agents, expect, close, opening, errors;
	double seconds, timeout, total;
	double rate; /* requests that start a second; 0: as fast as it goes */
};

/* What is done, and how much of it is left. */
struct load_run {
	const struct load_api *api;
	enum load_request request;
	int hold; /* the header of an answer is all that is awaited */
	int epoll_fd;
	int64_t budget; /* requests that may still start */
	int64_t begin_us;
	int64_t end_us; /* of starting requests, or of holding */
	char **ids;     /* LOAD_CREATE: what was made, by request */
	size_t id_count;
};

struct load_count {
	int64_t requests, ok, in_time, events, tokens, resets, errors;
	uint64_t bytes;
	int64_t fails[FAIL_COUNT];
	int64_t status[600];
	size_t active, opening, held;
	struct net_hist byte, event, turn, gap;
};

extern struct load_opt load_opt;
extern struct load_run load_run;
extern struct load_count load_count;

/* NULL if there is no such API. */
const struct load_api *load_api_find(const char *name);

/* One line of a stream, without its line end. */
void load_api_line(struct client *c, const char *p, size_t len);

/* Takes the id out of a created agent's JSON in c->line. 0 or -1. */
int load_api_created(struct client *c);

/* Starts the client's next request, if there is to be one. It has none out. */
void client_next_request(struct client *c);

/* What epoll said about its socket. */
void client_event(struct client *c, uint32_t events);

/* Ends a running request as failed and goes on with the next. */
void client_fail(struct client *c, enum load_fail why);

void client_hang_up(struct client *c);

#endif
