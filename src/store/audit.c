/* SPDX-License-Identifier: MIT */
/*
 * The audit log.
 *
 * A record is one line of JSON. Its last member, hash, is the SHA-256 of all
 * bytes before it, and these have prev, the hash of the record before it: who
 * changes, inserts or takes away a record in the middle must change all that
 * follow. One chain for all processes would be one lock for all of them, so
 * each has its own, with a random name and numbers from 1 on.
 *
 * The lock is held while a record gets its number and its hash, not while it
 * is written: two threads may write in another order than that of their
 * numbers. Who verifies sorts.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "base/json.h"
#include "base/lck.h"
#include "base/log.h"
#include "base/sha256.h"
#include "conf/conf.h"
#include "store/audit.h"
#include "store/audit_priv.h"
#include "store/store_priv.h"

struct audit {
	const struct conf *conf;
	struct store *store;
	char chain[ID_SIZE];
	struct lck lck; /* for what follows */
	int64_t seq;
	char prev[SHA256_HEX_SIZE];
};

struct audit *
audit_new(const struct conf *c, struct store *st)
{
	struct audit *au = calloc(1, sizeof(*au));

	if (au == NULL)
		abort();
	au->conf = c;
	au->store = st;
	id_make(au->chain, "aud_");
	lck_init(&au->lck, LCK_AUDIT);
	memset(au->prev, '0', SHA256_HEX_SIZE - 1);
	return au;
}

void
audit_free(struct audit **au_p)
{
	struct audit *au = *au_p;

	if (au == NULL)
		return;
	*au_p = NULL;
	lck_fini(&au->lck);
	free(au);
}

static void
add(struct buf *b, const char *name, const char *value)
{
	if (value != NULL && *value != '\0')
		json_add_str(b, name, value);
}

/* What of a record is not of its chain, as members of an object. */
static void
record_members(struct buf *b, const struct audit_record *rec)
{
	json_add_int(b, "time", clk_wall_ms());
	add(b, "act", rec->act);
	json_add_int(b, "status", rec->status);
	add(b, "user", rec->user);
	add(b, "tenant", rec->tenant);
	add(b, "roles", rec->roles);
	add(b, "jti", rec->jti);
	add(b, "from", rec->from);
	add(b, "agent", rec->agent);
	add(b, "made", rec->made);
	add(b, "what", rec->what);
	add(b, "detail", rec->detail);
	add(b, "request", rec->request);
	if (rec->left_out > 0)
		json_add_int(b, "leftOut", rec->left_out);
}

/* Makes it the chain's next one. */
static void
record_chain(struct audit *au, struct buf *line, const struct buf *members)
{
	char hash[SHA256_HEX_SIZE];

	lck_take(&au->lck);
	json_open(line, NULL, '{');
	json_add_str(line, "chain", au->chain);
	json_add_int(line, "seq", ++au->seq);
	json_add_str(line, "prev", au->prev);
	buf_putc(line, ',');
	buf_add(line, members->data, members->len);
	sha256_hex(line->data, line->len, hash);
	memcpy(au->prev, hash, sizeof(hash));
	lck_drop(&au->lck);
	buf_printf(line, AUDIT_HASH_MARK "%s\"}", hash);
}

/* By one write(2) at the end of the file, wherever that is. */
static int
file_append(const char *path, struct buf *line, struct err *err)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	ssize_t n;

	if (fd < 0)
		return err_set(err, ERR_INTERNAL, "%s: %m", path);
	buf_putc(line, '\n');
	n = write(fd, line->data, line->len);
	if (n != (ssize_t)line->len)
		err_set(err, ERR_INTERNAL, "%s: %s", path,
		    n < 0 ? strerror(errno) : "the disk is full");
	else
		n = 0;
	close(fd);
	line->data[--line->len] = '\0';
	return n == 0 ? 0 : -1;
}

static int
stream_append(
    struct audit *au, struct arena *a, const struct buf *line, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "XADD", audit_key(au->store, a), "MAXLEN", "~",
	    arena_printf(a, "%lld", (long long)au->conf->audit_keep), "*", "r",
	    line->data, NULL);
	return redis_call(au->store->pool, a, &p, &r, err);
}

char *
audit_key(const struct store *st, struct arena *a)
{
	return store_key(st, a, "audit");
}

void
audit_write(struct audit *au, struct arena *a, const struct audit_record *rec)
{
	struct buf members, line;
	struct err err;
	int failed = 0;

	if (au->conf->audit_keep == 0 && *au->conf->audit_file == '\0')
		return;
	buf_init(&members, a);
	buf_init(&line, a);
	record_members(&members, rec);
	record_chain(au, &line, &members);
	if (*au->conf->audit_file != '\0' &&
	    file_append(au->conf->audit_file, &line, &err) < 0)
		failed = 1;
	if (au->conf->audit_keep > 0 && au->store != NULL &&
	    stream_append(au, a, &line, &err) < 0)
		failed = 1;
	if (failed)
		log_error("audit: %s: %s", err.text, line.data);
}
