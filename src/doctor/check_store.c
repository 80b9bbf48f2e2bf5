/* SPDX-License-Identifier: MIT */
/* Redis: reached, new enough, durable, and quick. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "conf/conf.h"
#include "doctor/doctor_priv.h"
#include "store/redis.h"
#include "store/script.h"

#define VERSION_MIN 602 /* major * 100 + minor */
#define PINGS 100
#define P99 98
#define SLOW_US 5000
#define CLOCK_WARN_MS 1000
#define CLOCK_FAIL_MS 30000

struct look {
	struct doctor *d;
	struct redis_pool *pool;
	const char *info; /* lines NAME:VALUE */
};

/* ---- asking ---- */

/* The value of a line of INFO, or "". */
static const char *
info_get(const struct look *l, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = l->info; *p != '\0'; p += *p == '\n') {
		if (strncmp(p, name, n) == 0 && p[n] == ':')
			return arena_memdup(
			    l->d->arena, p + n + 1, strcspn(p + n + 1, "\r\n"));
		p += strcspn(p, "\n");
	}
	return "";
}

/* One answer; NULL: there is none, or an error. */
static const struct redis_reply *
ask(const struct look *l, const char *a, const char *b, const char *c,
    struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, l->d->arena);
	redis_cmd(&p, a, b, c, NULL);
	return redis_call(l->pool, l->d->arena, &p, &r, err) < 0 ? NULL : r;
}

/* ---- checks ---- */

static int
version_number(const char *text)
{
	int major = 0, minor = 0;

	sscanf(text, "%d.%d", &major, &minor);
	return major * 100 + minor;
}

static void
check_version(const struct look *l)
{
	const char *version = info_get(l, "redis_version");
	const char *valkey = info_get(l, "valkey_version");

	if (version_number(version) < VERSION_MIN)
		doctor_say(l->d, DOCTOR_FAIL, "redis.version",
		    "%s: 6.2 or later is needed, or Valkey", version);
	else if (*valkey != '\0')
		doctor_say(l->d, DOCTOR_OK, "redis.version",
		    "Valkey %s (as Redis %s)", valkey, version);
	else
		doctor_say(l->d, DOCTOR_OK, "redis.version", "%s", version);
}

/* CONFIG may be forbidden to the user: then that is not known. */
static const char *
fsync_policy(const struct look *l)
{
	const struct redis_reply *r =
	    ask(l, "CONFIG", "GET", "appendfsync", NULL);

	return r != NULL && r->count == 2 ? redis_text(&r->items[1]) : "";
}

static void
check_aof(const struct look *l)
{
	const char *policy = fsync_policy(l);

	if (strcmp(info_get(l, "aof_enabled"), "1") != 0)
		doctor_say(l->d, DOCTOR_FAIL, "redis.aof",
		    "the append-only file is off: what was accepted is lost "
		    "when Redis ends; set appendonly yes in redis.conf (and "
		    "CONFIG SET appendonly yes now)");
	else if (strcmp(info_get(l, "aof_last_write_status"), "ok") != 0)
		doctor_say(l->d, DOCTOR_FAIL, "redis.aof",
		    "Redis could not write its append-only file: look at its "
		    "disk and its log");
	else if (strcmp(policy, "no") == 0)
		doctor_say(l->d, DOCTOR_WARN, "redis.aof",
		    "on, but appendfsync is no: a power cut may lose half a "
		    "minute; set everysec or always");
	else
		doctor_say(l->d, DOCTOR_OK, "redis.aof", "on, appendfsync %s",
		    *policy == '\0' ? "unknown: CONFIG GET is not allowed"
				    : policy);
}

static void
check_eviction(const struct look *l)
{
	const char *policy = info_get(l, "maxmemory_policy");
	long long max = atoll(info_get(l, "maxmemory"));

	if (strcmp(policy, "noeviction") == 0)
		doctor_say(l->d, DOCTOR_OK, "redis.eviction", "noeviction");
	else if (max > 0)
		doctor_say(l->d, DOCTOR_FAIL, "redis.eviction",
		    "maxmemory-policy is %s: at %lld bytes Redis throws "
		    "conversations away; set noeviction",
		    policy, max);
	else
		doctor_say(l->d, DOCTOR_WARN, "redis.eviction",
		    "maxmemory-policy is %s: nothing is thrown away as long as "
		    "maxmemory is 0; set noeviction before you set that",
		    policy);
}

static int
by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
check_latency(const struct look *l)
{
	int64_t us[PINGS], start;
	struct redis_pipe p;
	const struct redis_reply *r;
	struct err err;

	redis_pipe_init(&p, l->d->arena);
	redis_cmd(&p, "PING", NULL);
	for (int i = 0; i < PINGS; i++) {
		start = clk_mono_us();
		if (redis_call(l->pool, l->d->arena, &p, &r, &err) < 0) {
			doctor_say(
			    l->d, DOCTOR_FAIL, "redis.latency", "%s", err.text);
			return;
		}
		us[i] = clk_mono_us() - start;
	}
	qsort(us, PINGS, sizeof(*us), by_time);
	doctor_say(l->d, us[P99] > SLOW_US ? DOCTOR_WARN : DOCTOR_OK,
	    "redis.latency",
	    "PING takes %" PRId64 " us, 99 of %d at most %" PRId64 " us%s",
	    us[PINGS / 2], PINGS, us[P99],
	    us[P99] > SLOW_US
		? "; every step of a turn waits for it: bring Redis nearer, or "
		  "use its unix socket"
		: "");
}

/* Tokens are judged by this host's, all else by Redis's. */
static void
check_clock(const struct look *l)
{
	int64_t before = clk_wall_ms(), after, theirs, off = 0;
	const struct redis_reply *r;
	struct err err;

	r = ask(l, "TIME", NULL, NULL, &err);
	after = clk_wall_ms();
	theirs = r == NULL ? -1 : redis_time_ms(r);
	if (theirs < 0) {
		doctor_say(l->d, DOCTOR_WARN, "redis.clock",
		    "it does not tell its time: allow TIME to store.user");
		return;
	}
	if (theirs < before)
		off = before - theirs;
	else if (theirs > after)
		off = theirs - after;
	doctor_say(l->d,
	    off > CLOCK_FAIL_MS   ? DOCTOR_FAIL
	    : off > CLOCK_WARN_MS ? DOCTOR_WARN
				  : DOCTOR_OK,
	    "redis.clock", "%" PRId64 " ms away from this host's%s", off,
	    off > CLOCK_WARN_MS ? ": let both follow NTP; tokens have times"
				: "");
}

static void
look_at(struct look *l)
{
	static const char *const sections[] = { "server", "persistence",
		"memory" };
	const struct redis_reply *r;
	struct err err;
	struct buf info;

	buf_init(&info, l->d->arena);
	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		r = ask(l, "INFO", sections[i], NULL, &err);
		if (r == NULL) {
			doctor_say(l->d, DOCTOR_WARN, "redis.info",
			    "%s; version, append-only file and eviction are "
			    "not checked: allow INFO to store.user",
			    err.text);
			return;
		}
		buf_puts(&info, redis_text(r));
	}
	l->info = buf_str(&info);
	check_version(l);
	check_aof(l);
	check_eviction(l);
}

void
check_store(struct doctor *d)
{
	struct look l = { .d = d };
	const char *address = d->conf->store_address;
	struct err err;

	script_init();
	l.pool = redis_pool_new(d->conf);
	if (ask(&l, "PING", NULL, NULL, &err) == NULL) {
		doctor_say(d, DOCTOR_FAIL, "redis",
		    "%s: %s; start it, or look at store.address, store.user "
		    "and store.password_file",
		    address, err.text);
	} else {
		doctor_say(d, DOCTOR_OK, "redis", "%s answers", address);
		look_at(&l);
		check_latency(&l);
		check_clock(&l);
	}
	redis_pool_free(&l.pool);
}
