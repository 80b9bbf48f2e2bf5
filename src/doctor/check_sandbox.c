/* SPDX-License-Identifier: MIT */
/* agent-fpm-sandbox: reached, and what it says of itself. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "doctor/doctor_priv.h"
#include "net/fetch.h"
#include "sandbox/client.h"

#define WAIT_MS 10000
#define MIB (1024 * 1024)

static void
on_end(void *ctx, struct sandbox_call *c)
{
	(void)c;
	loop_stop(ctx);
}

/* Its answer to a ping; NULL: err says why there is none. */
static const struct json *
ping(struct doctor *d, int64_t *us_r, struct err *err)
{
	struct sandbox_call *c = arena_new(d->arena, struct sandbox_call);
	struct loop *l = loop_new();
	struct fetcher *f = fetcher_new(l);
	struct sandbox *s;

	if (sandbox_new(l, f, d->conf, &s, err) < 0) {
		fetcher_free(&f);
		loop_free(&l);
		return NULL;
	}
	c->arena = d->arena;
	c->op = "ping";
	c->user = c->agent = "";
	c->timeout_ms = WAIT_MS;
	c->on_end = on_end;
	c->ctx = l;
	*us_r = clk_mono_us();
	sandbox_start(s, c);
	loop_run(l);
	*us_r = clk_mono_us() - *us_r;
	sandbox_free(&s);
	fetcher_free(&f);
	loop_free(&l);
	*err = c->err;
	return c->err.code == ERR_NONE ? c->answer : NULL;
}

static const char *
where(const struct doctor *d)
{
	return *d->conf->sandbox_address != '\0' ? d->conf->sandbox_address
						 : d->conf->sandbox_socket;
}

static void
check_version(struct doctor *d, const struct json *it, int64_t us)
{
	const char *version = json_get_str(it, "version");

	if (version == NULL || strcmp(version, PACKAGE_VERSION) != 0)
		doctor_say(d, DOCTOR_WARN, "sandbox",
		    "%s answers, version %s; this is %s: restart "
		    "agent-fpm-sandbox after an update",
		    where(d), version == NULL ? "unknown" : version,
		    PACKAGE_VERSION);
	else
		doctor_say(d, DOCTOR_OK, "sandbox",
		    "%s answers in %" PRId64 " us, version %s", where(d), us,
		    version);
}

static void
check_commands(struct doctor *d, const struct json *it)
{
	const char *runner = json_get_str(it, "runner");
	const char *reason = json_get_str(it, "reason");

	if (json_get_true(it, "commands"))
		doctor_say(d, DOCTOR_OK, "sandbox.commands",
		    "%s works; network: %s", runner == NULL ? "?" : runner,
		    json_get_true(it, "network") ? "by a proxy" : "none");
	else
		doctor_say(d, DOCTOR_FAIL, "sandbox.commands",
		    "no command can be run: %s",
		    reason == NULL ? "it does not say why" : reason);
}

static void
check_limits(struct doctor *d, const struct json *it)
{
	const char *cgroup = json_get_true(it, "cgroup")
				 ? "memory and time by a cgroup"
				 : "memory of each process, no cgroup";

	if (json_get_true(it, "processLimit"))
		doctor_say(d, DOCTOR_OK, "sandbox.limits",
		    "number of processes, %s", cgroup);
	else
		doctor_say(d, DOCTOR_WARN, "sandbox.limits",
		    "%s; it runs as root, so commands are not held to "
		    "sandbox.processes: run it as a user of its own",
		    cgroup);
}

static void
check_disk(struct doctor *d, const struct json *it)
{
	const struct conf *c = d->conf;
	int64_t free_bytes, bytes, free_files = 0, files = 0;
	enum verdict v = DOCTOR_OK;

	if (!json_get_int(it, "freeBytes", &free_bytes) ||
	    !json_get_int(it, "totalBytes", &bytes)) {
		doctor_say(d, DOCTOR_WARN, "sandbox.disk",
		    "the sandbox cannot tell how much room there is");
		return;
	}
	json_get_int(it, "freeFiles", &free_files);
	json_get_int(it, "totalFiles", &files);
	if (free_bytes < c->sandbox_quota_bytes || free_bytes < bytes / 20 ||
	    (files > 0 && free_files < c->sandbox_max_files))
		v = DOCTOR_WARN; /* one more agent may fill it */
	if (free_bytes < c->sandbox_max_file_bytes ||
	    (files > 0 && free_files == 0))
		v = DOCTOR_FAIL;
	doctor_say(d, v, "sandbox.disk",
	    "%" PRId64 " of %" PRId64 " MiB are free for workspaces%s%s",
	    free_bytes / MIB, bytes / MIB,
	    files > 0 && free_files < c->sandbox_max_files
		? ", and room for few files"
		: "",
	    v == DOCTOR_OK ? ""
			   : ": make room, or put sandbox.workspaces on "
			     "another disk");
}

void
check_sandbox(struct doctor *d)
{
	const struct json *it;
	struct err err;
	int64_t us;

	if (!sandbox_is_configured(d->conf)) {
		doctor_say(d, DOCTOR_OK, "sandbox",
		    "none: agents have no files and run no commands; for that "
		    "set sandbox.socket and start agent-fpm-sandbox");
		return;
	}
	it = ping(d, &us, &err);
	if (it == NULL) {
		doctor_say(d, DOCTOR_FAIL, "sandbox",
		    "%s; look at sandbox.socket, sandbox.group and "
		    "sandbox.client too",
		    err.text);
		return;
	}
	check_version(d, it, us);
	check_commands(d, it);
	check_limits(d, it);
	check_disk(d, it);
}
