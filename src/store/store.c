/* SPDX-License-Identifier: MIT */
/*
 * The store: names of keys, the identity of this process as a holder of
 * leases, tickets. Agents are in agents.c, leases and messages in turns.c.
 */
#include "config.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "base/process.h"
#include "base/sha256.h"
#include "conf/conf.h"
#include "store/store_priv.h"

char *
store_key(const struct store *st, struct arena *a, const char *fmt, ...)
{
	char *text, *key;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	key = arena_printf(a, "%s%s", st->conf->store_prefix, text);
	free(text);
	return key;
}

const char *
store_family(const char *agent)
{
	const char *bar = strchr(agent, '_');

	return bar == NULL ? agent : bar + 1; /* what is no id has no family */
}

char *
store_base(const struct store *st, struct arena *a, const char *agent)
{
	return store_key(
	    st, a, "{%.*s}:%s", ID_FAMILY, store_family(agent), agent);
}

char *
store_segment_key(struct arena *a, const char *base, const char *segment)
{
	return arena_printf(
	    a, "%.*s:seg:%s", (int)(strrchr(base, ':') - base), base, segment);
}

const char *
store_user_part(struct arena *a, const char *user)
{
	struct buf b;

	buf_init(&b, a);
	for (; *user != '\0'; user++) {
		unsigned char c = (unsigned char)*user;

		if (isalnum(c) || strchr("._@-", c) != NULL)
			buf_putc(&b, *user);
		else
			buf_printf(&b, "%%%02X", c);
	}
	return buf_str(&b);
}

int
store_counts_turns(const struct conf *c)
{
	return c->limits_turns_per_user > 0 || c->limits_tenant_turns > 0;
}

void
store_arg_turns(const struct store *st, struct arena *a, struct redis_pipe *p)
{
	if (store_counts_turns(st->conf))
		redis_arg(p, store_key(st, a, STORE_TURNS));
}

void
store_use_budgets(struct store *st)
{
	st->budgets = 1;
}

void
store_arg_budgets(const struct store *st, struct arena *a, struct redis_pipe *p)
{
	char day[STORE_PERIOD_SIZE], month[STORE_PERIOD_SIZE];
	int64_t now = clk_shared_ms();

	if (!st->budgets) {
		redis_arg(p, "");
		return;
	}
	store_day(now, 0, day);
	store_month(now, 0, month);
	redis_arg(
	    p, arena_printf(a, "%s %s %s", st->conf->store_prefix, day, month));
}

int
store_forbidden(struct err *err)
{
	return err_set(err, ERR_FORBIDDEN, "Forbidden");
}

int
store_call(struct store *st, struct arena *a, struct redis_pipe *p,
    const struct redis_reply **r_r, struct err *err)
{
	if (redis_call(st->pool, a, p, r_r, err) < 0)
		return -1;
	if (redis_is(&(*r_r)[0].items[0], "FORBIDDEN"))
		return store_forbidden(err);
	return 0;
}

/* What of name is safe inside a lease and a channel name. */
static void
copy_plain(char *out, size_t size, const char *name)
{
	size_t n = 0;

	for (; *name != '\0' && n + 1 < size; name++)
		if (isalnum((unsigned char)*name) || *name == '-')
			out[n++] = *name;
	out[n] = '\0';
}

static void
holder_make(char *out, size_t size)
{
	char host[256] = "", boot[64] = "", host_plain[64], boot_plain[16];
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	gethostname(host, sizeof(host) - 1);
	if (f != NULL) {
		if (fgets(boot, sizeof(boot), f) == NULL)
			boot[0] = '\0';
		fclose(f);
	}
	copy_plain(host_plain, sizeof(host_plain), host);
	copy_plain(boot_plain, 9, boot);
	snprintf(out, size, "%s.%s.%d.%llu", host_plain, boot_plain,
	    (int)getpid(), process_start_time(getpid()));
}

int
store_holder_dead(const struct store *st, const char *lease)
{
	const char *holder = strchr(lease, ':'), *pid;
	unsigned long long start;
	size_t n;

	holder = holder == NULL ? NULL : strchr(holder + 1, ':');
	if (holder == NULL)
		return 0;
	holder++;
	/* HOST.BOOT. must be ours. */
	pid = strchr(holder, '.');
	pid = pid == NULL ? NULL : strchr(pid + 1, '.');
	if (pid == NULL)
		return 0;
	n = (size_t)(++pid - holder);
	if (strncmp(st->holder, holder, n) != 0 || strchr(pid, '.') == NULL)
		return 0;
	start = strtoull(strchr(pid, '.') + 1, NULL, 10);
	return process_start_time(atoi(pid)) != start;
}

struct store *
store_new(const struct conf *c)
{
	struct store *st = calloc(1, sizeof(*st));

	if (st == NULL)
		abort();
	st->conf = c;
	st->pool = redis_pool_new(c);
	holder_make(st->holder, sizeof(st->holder));
	return st;
}

void
store_free(struct store **st_p)
{
	struct store *st = *st_p;

	if (st == NULL)
		return;
	*st_p = NULL;
	redis_pool_free(&st->pool);
	free(st);
}

const char *
store_holder(const struct store *st)
{
	return st->holder;
}

int
store_ping(struct store *st, struct arena *a, int64_t *us_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;
	int64_t start = clk_mono_us();

	redis_pipe_init(&p, a);
	redis_cmd(&p, "PING", NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	*us_r = clk_mono_us() - start;
	return 0;
}

const char *
store_hash(struct arena *a, const char *name)
{
	char *hex = arena_alloc(a, SHA256_HEX_SIZE);

	sha256_hex(name, strlen(name), hex);
	return hex;
}
