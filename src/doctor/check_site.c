/* SPDX-License-Identifier: MIT */
/*
 * The site, from outside: nginx in front of the pool, as its users see it.
 *
 * What is wrong between the two shows nowhere else: a proxy that holds back
 * events, another bound of bodies, no limit in front. An agent is made for it
 * and deleted at the end, and requests are made that are to be refused.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "doctor/doctor.h"
#include "doctor/site.h"

#define DEPTH 16
#define CLOCK_WARN_S 5
#define BODY_MIN_BYTES (1024 * 1024) /* nginx's bound, as it is shipped */
#define BODY_MORE_BYTES 65536
#define CROWD 250 /* requests at once: more than nginx lets through */

static const struct json *
answer_json(struct doctor *d, const struct site_request *q)
{
	return json_parse(d->arena, q->answer.data, q->answer.len, DEPTH, NULL);
}

/* ---- the server ---- */

/* It would bind every other service there; nginx's map leaves it out. */
static int
is_localhost(const char *url)
{
	const char *host = url + strlen("https://");

	return strncmp(host, "localhost", 9) == 0 &&
	       strchr(":/", host[9]) != NULL; /* or the end */
}

static void
check_tls(struct doctor *d)
{
	struct site_request q = {
		.path = "/", .tls13 = 1, .only_connect = 1, .anonymous = 1
	};
	struct site_request page = {
		.method = "GET", .path = "/api/agents", .anonymous = 1
	};
	const char *hsts = page.end.head.hsts;

	if (strncmp(d->options->url, "https://", 8) != 0) {
		doctor_say(d, DOCTOR_WARN, "site.tls",
		    "none: whoever is on the way reads tokens and "
		    "conversations; use https");
		return;
	}
	site_ask(d, &q);
	site_ask(d, &page);
	doctor_say(d, q.end.code == ERR_NONE ? DOCTOR_OK : DOCTOR_WARN,
	    "site.tls", "the certificate is good; TLS 1.3: %s",
	    q.end.code == ERR_NONE
		? "yes"
		: "no; set ssl_protocols TLSv1.2 TLSv1.3, as nginx/"
		  "agent-fpm.conf has it");
	if (*hsts != '\0' || is_localhost(d->options->url))
		doctor_say(d, DOCTOR_OK, "site.hsts", "%s",
		    *hsts != '\0' ? hsts : "none, as is right for localhost");
	else
		doctor_say(d, DOCTOR_WARN, "site.hsts",
		    "no Strict-Transport-Security: nginx/"
		    "agent-fpm-fastcgi.conf adds it");
}

static void
check_date(struct doctor *d, const char *date)
{
	struct tm tm = { 0 };
	int64_t off;

	if (strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL) {
		doctor_say(
		    d, DOCTOR_WARN, "site.clock", "the site says no date");
		return;
	}
	off = llabs((long long)timegm(&tm) - clk_wall_ms() / 1000);
	doctor_say(d, off > CLOCK_WARN_S ? DOCTOR_WARN : DOCTOR_OK,
	    "site.clock", "%" PRId64 " s away from this host's%s", off,
	    off > CLOCK_WARN_S
		? ": let both follow NTP; tokens are judged by it"
		: "");
}

/* 1 if there is a pool behind it. */
static int
check_health(struct doctor *d)
{
	struct site_request q = {
		.method = "GET", .path = "/health", .anonymous = 1
	};
	int status = site_ask(d, &q);
	const char *version;

	if (status == 0) {
		doctor_say(d, DOCTOR_FAIL, "site",
		    "%s: %s; look at nginx, at DNS and firewall, and at --ca "
		    "for a certificate of your own",
		    d->options->url, q.end.text);
		return 0;
	}
	version = json_get_str(answer_json(d, &q), "version");
	if (version == NULL || status != 200) {
		doctor_say(d, DOCTOR_FAIL, "site", "GET /health gives %d%s",
		    status,
		    version == NULL ? ", and not by agent-fpm: look at the "
				      "locations of the site"
				    : ": look at the pool's log");
		return version != NULL;
	}
	doctor_say(d,
	    strcmp(version, PACKAGE_VERSION) == 0 ? DOCTOR_OK : DOCTOR_WARN,
	    "site", "a pool of version %s%s", version,
	    strcmp(version, PACKAGE_VERSION) == 0
		? ""
		: "; this is " PACKAGE_VERSION ": restart or upgrade the pool");
	check_tls(d);
	check_date(d, q.end.head.date);
	return 1;
}

/* ---- bounds ---- */

static void
check_body(struct doctor *d)
{
	int64_t max = d->conf->limits_body_bytes;
	struct site_request q = { .path = "/api/agents" };
	struct buf b;
	int status;

	if (max < BODY_MIN_BYTES)
		max = BODY_MIN_BYTES;
	buf_init(&b, d->arena);
	buf_puts(&b, "{\"name\":\"");
	buf_reserve(&b, (size_t)max + BODY_MORE_BYTES);
	while ((int64_t)b.len < max + BODY_MORE_BYTES)
		buf_putc(&b, 'x');
	buf_puts(&b, "\"}");
	q.body = b.data;
	q.body_len = b.len;
	status = site_ask(d, &q);
	doctor_say(d, status == 413 ? DOCTOR_OK : DOCTOR_WARN, "site.body",
	    status == 413
		? "%zu bytes are refused with %d"
		: "%zu bytes get %d instead of 413: set client_max_body_size "
		  "as nginx/agent-fpm-fastcgi.conf has it",
	    b.len, status);
}

struct crowd {
	struct loop *loop;
	int left, refused, told_when, none;
};

static void
on_crowd_end(void *ctx, const struct fetch_end *end)
{
	struct crowd *k = ctx;

	k->none += end->head.status == 0;
	if (end->head.status == 429) {
		k->refused++;
		k->told_when += *end->head.retry_after != '\0';
	}
	if (--k->left == 0)
		loop_stop(k->loop);
}

/* Without a token, so it is nobody's limit that is used up: the coarse one in
 * front, by address. */
static void
check_rate(struct doctor *d)
{
	struct site_request q = {
		.method = "GET", .path = "/api/agents", .anonymous = 1
	};
	struct crowd k = { .loop = loop_new(), .left = CROWD };
	struct fetcher *f = fetcher_new(k.loop);
	struct fetch_spec spec;

	site_spec(d, &q, &spec);
	spec.on_end = on_crowd_end;
	spec.ctx = &k;
	for (int i = 0; i < CROWD; i++)
		fetch_start(f, &spec);
	loop_run(k.loop);
	fetcher_free(&f);
	loop_free(&k.loop);
	if (k.refused == 0)
		doctor_say(d, DOCTOR_WARN, "site.rate",
		    "none of %d requests at once, without a token, was refused "
		    "with 429 (%d had no answer): include nginx/"
		    "agent-fpm-http.conf and agent-fpm-fastcgi.conf with their "
		    "limits",
		    CROWD, k.none);
	else
		doctor_say(d,
		    k.told_when == k.refused ? DOCTOR_OK : DOCTOR_WARN,
		    "site.rate",
		    "of %d requests at once, without a token, %d were refused "
		    "with 429%s",
		    CROWD, k.refused,
		    k.told_when == k.refused
			? " and Retry-After"
			: ", not all with Retry-After: use the error pages of "
			  "nginx/agent-fpm.snippet");
}

/* ---- the agent ---- */

/* Its id; NULL: it was said why there is none. */
static const char *
make_agent(struct doctor *d)
{
	static const char body[] = "{\"name\":\"agent-fpm doctor\"}";
	struct site_request q = { .path = "/api/agents",
		.body = body,
		.body_len = sizeof(body) - 1 };
	int status = site_ask(d, &q);
	const struct json *j = answer_json(d, &q);
	const char *detail = json_get_str(j, "detail");

	if (status == 201 && json_get_str(j, "agentId") != NULL) {
		doctor_say(d, DOCTOR_OK, "site.token", "an agent was made");
		return json_get_str(j, "agentId");
	}
	doctor_say(d, DOCTOR_FAIL, "site.token", "making an agent gives %d: %s",
	    status,
	    status == 0      ? q.end.text
	    : detail != NULL ? detail
			     : "not by agent-fpm");
	return NULL;
}

static void
delete_agent(struct doctor *d, const char *agent)
{
	struct site_request q = { .method = "DELETE",
		.path = arena_printf(d->arena, "/api/agents/%s", agent) };
	int status = site_ask(d, &q);

	if (status != 204)
		doctor_say(d, DOCTOR_WARN, "site.agent",
		    "deleting %s, which was made for this, gives %d: delete it "
		    "yourself",
		    agent, status);
}

void
check_site(struct doctor *d)
{
	const char *agent;

	if (d->options->url == NULL || !check_health(d))
		return;
	agent = make_agent(d);
	if (agent != NULL) {
		check_stream(d, agent);
		if (d->options->chat)
			check_chat(d, agent);
		check_body(d);
		delete_agent(d, agent);
	}
	check_gateway(d);
	check_rate(d); /* last: nginx is cross with this address then */
}
