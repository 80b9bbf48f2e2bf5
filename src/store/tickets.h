/* SPDX-License-Identifier: MIT */
#ifndef STORE_TICKETS_H
#define STORE_TICKETS_H

#include <stdint.h>

struct arena;
struct err;
struct store;

/* What of a token its ticket stands for. */
struct store_ticket {
	const char *user, *tenant, *jti; /* tenant, jti "": it has none */
	int64_t expires_s;               /* when the token does */
	int64_t issued_s;                /* 0: not said */
};

/* A ticket, good once within a minute. The arena's. 0, or -1. Blocks. */
int store_ticket_make(struct store *st, struct arena *a,
    const struct store_ticket *whose, const char **ticket_r, struct err *err);

/* Whose a ticket is, which is then void. 1, 0 unknown, -1. Blocks. */
int store_ticket_use(struct store *st, struct arena *a, const char *ticket,
    struct store_ticket *whose_r, struct err *err);

/* 1 if a ticket, as Redis has it, is a user's; else 0. */
int store_ticket_is_of(const char *text, const char *user);

#endif
