/* SPDX-License-Identifier: MIT */
/* The model's address: TCP and TLS, and not one request, which would cost; and
 * whether it has the prices that budgets need. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "doctor/doctor_priv.h"
#include "model/call.h"
#include "net/fetch.h"
#include "store/budget.h"

struct attempt {
	struct loop *loop;
	struct fetch_end end;
};

static void
on_end(void *ctx, const struct fetch_end *end)
{
	struct attempt *t = ctx;

	t->end = *end;
	loop_stop(t->loop);
}

static void
connect_to(const struct model *m, struct attempt *t)
{
	const struct conf_model *c = model_conf(m);
	struct fetcher *f;
	struct fetch_spec spec = {
		.url = model_url(m),
		.body = "",
		.ca_file = c->ca_file,
		.proxy = c->proxy,
		.only_connect = 1,
		.connect_ms = c->connect_timeout_ms,
		.first_byte_ms = c->connect_timeout_ms * 2,
		.idle_ms = c->connect_timeout_ms,
		.total_ms = c->connect_timeout_ms,
		.on_end = on_end,
		.ctx = t,
	};

	t->loop = loop_new();
	f = fetcher_new(t->loop);
	fetch_start(f, &spec);
	loop_run(t->loop);
	fetcher_free(&f);
	loop_free(&t->loop);
}

/* Only scheme, host and port: all that was reached. */
static int
place_len(const char *url)
{
	const char *host = strstr(url, "://");

	return host == NULL ? 0
			    : (int)(host + 3 - url + strcspn(host + 3, "/"));
}

/* 1 if an earlier model is at the same place. */
static int
is_checked(const struct models *all, size_t i)
{
	const char *url = model_url(models_at(all, i));
	int n = place_len(url);

	for (size_t k = 0; k < i; k++)
		if (strncmp(model_url(models_at(all, k)), url, (size_t)n + 1) ==
		    0)
			return 1;
	return 0;
}

static void
check_one(struct doctor *d, const struct model *m)
{
	const char *url = model_url(m);
	int tls = strncmp(url, "https:", 6) == 0;
	int64_t start = clk_mono_ms();
	struct attempt t;

	if (*url == '\0') {
		doctor_say(d, DOCTOR_OK, "model",
		    "the scripted one: no real model is asked");
		return;
	}
	memset(&t, 0, sizeof(t));
	connect_to(m, &t);
	if (t.end.code == ERR_NONE)
		doctor_say(d, DOCTOR_OK, "model",
		    "%.*s is reached in %" PRId64 " ms%s; nothing was asked",
		    place_len(url), url, clk_mono_ms() - start,
		    tls ? ", its certificate is good" : ", without TLS");
	else
		doctor_say(d, DOCTOR_FAIL, "model",
		    "%.*s: %s; look at model.url, at DNS, firewall and "
		    "proxy%s",
		    place_len(url), url, t.end.text,
		    tls ? ", and at model.ca_file for a certificate of your own"
			: "");
}

void
check_model(struct doctor *d)
{
	struct models *all = models_new(NULL, NULL, d->conf, NULL);

	if (all == NULL)
		return; /* the check of the models says why */
	for (size_t i = 0; models_at(all, i) != NULL; i++)
		if (!is_checked(all, i))
			check_one(d, models_at(all, i));
	models_free(&all);
}

static int
has_money_budgets(const struct conf *c)
{
	struct budget_limits l;

	budget_limits_of(c, &l);
	for (int i = 0; i < BUDGET_SCOPES; i++)
		if (l.most[i][BUDGET_COST] > 0)
			return 1;
	return 0;
}

static int
has_price(const struct conf_model *m)
{
	return m->price_input >= 0 || m->price_output >= 0;
}

void
check_prices(struct doctor *d)
{
	const struct conf *c = d->conf;
	struct buf without;

	if (!has_money_budgets(c))
		return;
	buf_init(&without, d->arena);
	if (!has_price(&c->model))
		buf_printf(&without, " %s", c->model.label);
	for (size_t i = 0; i < c->model_count; i++)
		if (!has_price(&c->models[i]))
			buf_printf(&without, " %s", c->models[i].label);
	if (without.len > 0)
		doctor_say(d, DOCTOR_WARN, "budget",
		    "there are budgets of money, and these models have no "
		    "prices, so they cost nothing:%s; set model.price_input "
		    "and its like",
		    buf_str(&without));
	else
		doctor_say(d, DOCTOR_OK, "budget",
		    "there are budgets of money, and all models have prices");
}
