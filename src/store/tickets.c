/* SPDX-License-Identifier: MIT */
/* Tickets: what stands for a token where no header can be sent. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/id.h"
#include "store/store_priv.h"
#include "store/tickets.h"

#define TICKET_SECONDS "60"

/* A ticket's key holds its hash: who reads Redis cannot use it. */
static char *
ticket_key(const struct store *st, struct arena *a, const char *ticket)
{
	return store_key(st, a, "ticket:%s", store_hash(a, ticket));
}

int
store_ticket_make(struct store *st, struct arena *a,
    const struct store_ticket *whose, const char **ticket_r, struct err *err)
{
	char *ticket = arena_alloc(a, ID_SIZE);
	const struct redis_reply *r;
	struct redis_pipe p;

	id_make(ticket, "tkt_");
	redis_pipe_init(&p, a);
	redis_cmd(&p, "SET", ticket_key(st, a, ticket),
	    arena_printf(a, "%lld\t%lld\t%s\t%s\t%s",
		(long long)whose->expires_s, (long long)whose->issued_s,
		whose->jti, whose->tenant, whose->user),
	    "EX", TICKET_SECONDS, NULL);
	*ticket_r = ticket;
	return redis_call(st->pool, a, &p, &r, err);
}

/* EXPIRES ISSUED JTI TENANT USER, tabs between, which none has. 1, or 0: it is
 * none. */
static int
ticket_read(struct arena *a, const char *text, struct store_ticket *out)
{
	char *rest = arena_strdup(a, text);
	const char *part[5];

	for (int i = 0; i < 5; i++)
		if ((part[i] = strsep(&rest, "\t")) == NULL)
			return 0;
	*out = (struct store_ticket){ .user = part[4],
		.tenant = part[3],
		.jti = part[2],
		.expires_s = strtoll(part[0], NULL, 10),
		.issued_s = strtoll(part[1], NULL, 10) };
	return 1;
}

int
store_ticket_is_of(const char *text, const char *user)
{
	const char *last = strrchr(text, '\t');

	return last != NULL && strcmp(last + 1, user) == 0;
}

int
store_ticket_use(struct store *st, struct arena *a, const char *ticket,
    struct store_ticket *whose_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (!id_valid(ticket, "tkt_"))
		return 0;
	redis_pipe_init(&p, a);
	redis_cmd(&p, "GETDEL", ticket_key(st, a, ticket), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (r[0].type != REDIS_TEXT)
		return 0;
	return ticket_read(a, redis_text(&r[0]), whose_r);
}
