/* SPDX-License-Identifier: MIT */
/*
 * Leases of the logs that are open here: renewed by a timer, all in one
 * write, and given up at once when the process is to stop.
 */
#include "config.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/loop.h"
#include "store/journal_priv.h"
#include "store/redis_link.h"

void
log_script(struct redis_pipe *p, const struct journal_log *log,
    enum script_id id, int argc)
{
	const struct journal *j = log->journal;
	int counted = j->turns_key[0] != '\0';

	redis_script(p, id, 2 + counted, argc);
	redis_arg(p, log->base);
	redis_arg(p, j->leases_key);
	if (counted)
		redis_arg(p, j->turns_key);
}

/* A renewal on its way; the log may be closed before its answer comes. */
struct renewal {
	struct journal *journal;
	char agent[40];
	char lease[LEASE_SIZE];
};

static void
on_renewed(void *ctx, const redisReply *r)
{
	struct renewal *n = ctx;
	struct journal_log *log = journal_log_find(n->journal, n->agent);

	if (log != NULL && strcmp(log->lease, n->lease) == 0 &&
	    log->call == NULL && r != NULL && r->type == REDIS_REPLY_INTEGER &&
	    r->integer == 0)
		log_die(log, ERR_FENCED, "the lease was lost");
	free(n);
}

static void
log_renew(struct journal_log *log)
{
	struct journal *j = log->journal;
	struct renewal *n = malloc(sizeof(*n));
	struct redis_pipe p;

	if (n == NULL)
		abort();
	n->journal = j;
	strcpy(n->agent, log->agent);
	strcpy(n->lease, log->lease);
	redis_pipe_init(&p, NULL);
	log_script(&p, log, SCRIPT_RENEW, 3);
	redis_arg(&p, log->lease);
	redis_argi(&p, j->lease_ms);
	redis_argi(&p, clk_shared_ms());
	redis_link_send(j->link, p.out.data, p.out.len, on_renewed, n);
	buf_fini(&p.out);
}

void
journal_renew(void *journal)
{
	struct journal *j = journal;
	struct journal_log *log, *tmp;

	HASH_ITER(hh, j->logs, log, tmp)
	if (!log->dead)
		log_renew(log);
}

static void
on_yielded(void *ctx, const redisReply *r)
{
	(void)ctx;
	(void)r;
}

void
journal_yield_all(struct journal *j)
{
	struct journal_log *log, *tmp;
	struct redis_pipe p;

	redis_pipe_init(&p, NULL);
	HASH_ITER(hh, j->logs, log, tmp)
	{
		redis_pipe_clear(&p);
		log_script(&p, log, SCRIPT_YIELD, 1);
		redis_arg(&p, log->lease);
		redis_link_send(
		    j->link, p.out.data, p.out.len, on_yielded, NULL);
	}
	buf_fini(&p.out);
	redis_link_flush(j->link);
}
