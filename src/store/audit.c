/* SPDX-License-Identifier: MIT */
/*
 * The audit log.
 *
 * A record is one line of JSON. Its last member, hash, is the SHA-256 of all
 * bytes before it, and these have prev, the hash of the record before it: who
 * changes, inserts or takes away a record in the middle must change all that
 * follow. One chain for all processes would be one lock for all of them, so
 * each has its own, with a random name and numbers from 1 on. And one for the
 * file and another for the stream in Redis: what one of the two has lost is no
 * fault of the other. audit_chain.c has how they stay whole.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"
#include "store/audit.h"
#include "store/audit_chain.h"
#include "store/audit_priv.h"
#include "store/store_priv.h"

struct audit {
	const struct conf *conf;
	struct store *store;
	struct audit_chain_writer *file, *stream; /* NULL: not written */
};

/* All or none, as one transaction. */
static int
stream_append(
    void *ctx, struct arena *a, const char *lines, size_t len, struct err *err)
{
	const struct audit *au = ctx;
	const struct redis_reply *r;
	struct redis_pipe p;
	size_t n;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "MULTI", NULL);
	for (; len > 0; lines += n + 1, len -= n + 1) {
		n = (size_t)((const char *)memchr(lines, '\n', len) - lines);
		redis_begin(&p, 8);
		redis_arg(&p, "XADD");
		redis_arg(&p, audit_key(au->store, a));
		redis_arg(&p, "MAXLEN");
		redis_arg(&p, "~");
		redis_argi(&p, au->conf->audit_keep);
		redis_arg(&p, "*");
		redis_arg(&p, "r");
		redis_argn(&p, lines, n);
	}
	redis_cmd(&p, "EXEC", NULL);
	if (redis_call(au->store->pool, a, &p, &r, err) < 0)
		return -1;
	r = &r[p.count - 1];
	for (size_t i = 0; i < r->count; i++)
		if (r->items[i].type == REDIS_ERROR)
			return redis_error(err, r->items[i].text);
	return 0;
}

struct audit *
audit_new(const struct conf *c, struct store *st)
{
	struct audit *au = calloc(1, sizeof(*au));

	if (au == NULL)
		abort();
	au->conf = c;
	au->store = st;
	if (*c->audit_file != '\0')
		au->file =
		    audit_chain_writer_new(audit_file_append, c->audit_file);
	if (c->audit_keep > 0 && st != NULL)
		au->stream = audit_chain_writer_new(stream_append, au);
	return au;
}

void
audit_free(struct audit **au_p)
{
	struct audit *au = *au_p;

	if (au == NULL)
		return;
	*au_p = NULL;
	audit_chain_writer_free(&au->file);
	audit_chain_writer_free(&au->stream);
	free(au);
}

/* As text: names from a command line may be any bytes. */
static void
add(struct buf *b, struct arena *a, const char *name, const char *value)
{
	char *copy;

	if (value == NULL || *value == '\0')
		return;
	copy = arena_strdup(a, value);
	json_utf8_mend(copy);
	json_add_str(b, name, copy);
}

/* What of a record is not of its chain, as members of an object. */
static void
record_members(struct buf *b, struct arena *a, const struct audit_record *rec)
{
	json_add_int(b, "time", clk_wall_ms());
	add(b, a, "act", rec->act);
	json_add_int(b, "status", rec->status);
	add(b, a, "user", rec->user);
	add(b, a, "tenant", rec->tenant);
	add(b, a, "roles", rec->roles);
	add(b, a, "jti", rec->jti);
	add(b, a, "from", rec->from);
	add(b, a, "agent", rec->agent);
	add(b, a, "made", rec->made);
	add(b, a, "what", rec->what);
	add(b, a, "detail", rec->detail);
	add(b, a, "request", rec->request);
	if (rec->left_out > 0)
		json_add_int(b, "leftOut", rec->left_out);
}

char *
audit_key(const struct store *st, struct arena *a)
{
	return store_key(st, a, "audit");
}

void
audit_write(struct audit *au, struct arena *a, const struct audit_record *rec)
{
	struct audit_chain_writer *chains[] = { au->file, au->stream };
	struct buf members;
	struct err err;

	buf_init(&members, a);
	record_members(&members, a, rec);
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		if (chains[i] != NULL &&
		    audit_chain_write(chains[i], a, &members, &err) < 0)
			log_error("audit: %s: {%s}", err.text, members.data);
}
