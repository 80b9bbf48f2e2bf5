/* SPDX-License-Identifier: MIT */
#ifndef DOCTOR_SITE_H
#define DOCTOR_SITE_H

#include "base/buf.h"
#include "doctor/doctor_priv.h"
#include "net/fetch.h"

/* A request to the site, and what came of it. */
struct site_request {
	const char *method; /* as fetch_spec has it */
	const char *path;   /* behind the URL */
	const char *body;   /* JSON; NULL: none */
	size_t body_len;
	const char *const *headers; /* more of them, then NULL; or NULL */
	int anonymous;              /* without the token */
	int tls13, only_connect;
	int upgrade; /* by HTTP/1.1; it ends with the first bytes of an answer
		      * that may never end */

	struct fetch_end end;
	struct buf answer; /* the first 64 KiB of it */
};

/* What it asks of libcurl, and nothing is done with the body; strings are the
 * arena's. */
void site_spec(
    struct doctor *d, const struct site_request *q, struct fetch_spec *spec_r);

/* Blocks until it has ended: its status, 0 if no response came. */
int site_ask(struct doctor *d, struct site_request *q);

/* ---- check_bridge.c ---- */

/* Whether the gateway is reached, by HTTP and by WebSocket. */
void check_gateway(struct doctor *d);

/* ---- check_stream.c ---- */

/* Whether the events of an agent arrive one by one; and with a model's. */
void check_stream(struct doctor *d, const char *agent);
void check_chat(struct doctor *d, const char *agent);

#endif
