/* SPDX-License-Identifier: MIT */
/* The model's address: TCP and TLS, and not one request, which would cost. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clk.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "doctor/doctor_priv.h"
#include "net/fetch.h"

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
connect_to(const struct conf *c, struct attempt *t)
{
	struct fetcher *f;
	struct fetch_spec spec = {
		.url = c->model_url,
		.body = "",
		.ca_file = c->model_ca_file,
		.only_connect = 1,
		.connect_ms = c->model_connect_timeout_ms,
		.first_byte_ms = c->model_connect_timeout_ms * 2,
		.idle_ms = c->model_connect_timeout_ms,
		.total_ms = c->model_connect_timeout_ms,
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

void
check_model(struct doctor *d)
{
	const struct conf *c = d->conf;
	int tls = strncmp(c->model_url, "https:", 6) == 0;
	struct attempt t;
	int64_t start = clk_mono_ms();

	if (c->model_provider == CONF_PROVIDER_SCRIPT) {
		doctor_say(d, DOCTOR_OK, "model",
		    "the scripted one: no real model is asked");
		return;
	}
	memset(&t, 0, sizeof(t));
	connect_to(c, &t);
	if (t.end.code == ERR_NONE)
		doctor_say(d, DOCTOR_OK, "model",
		    "%s is reached in %" PRId64 " ms%s; nothing was asked",
		    c->model_url, clk_mono_ms() - start,
		    tls ? ", its certificate is good" : ", without TLS");
	else
		doctor_say(d, DOCTOR_FAIL, "model",
		    "%s: %s; look at model.url, at DNS, firewall and proxy%s",
		    c->model_url, t.end.text,
		    tls ? ", and at model.ca_file for a certificate of your own"
			: "");
}
