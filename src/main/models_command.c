/* SPDX-License-Identifier: MIT */
/* agent-fpm models: what is configured, and whether it answers. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "agent/forms.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "main/models_command.h"
#include "model/call.h"
#include "model/wire.h"
#include "net/fetch.h"

#define CHECK_TOKENS 16 /* the Responses API takes no fewer */

struct check {
	struct loop *loop;
	const struct model *model;
	struct model_request rq;
	struct buf messages;
	struct model_call *call;
	int64_t began_ms, ended_ms;
	int *left;
};

/* ---- the list ---- */

static void
print_price(const char *what, int64_t price)
{
	if (price >= 0)
		printf(", %s %g", what, (double)price / 1e6);
}

static void
print_model(const struct model *m)
{
	const struct conf_model *c = model_conf(m);

	printf("%s\n    %s, %s\n", c->label, model_provider(m),
	    model_on_wire(m)->id);
	if (*model_url(m) != '\0')
		printf("    %s\n", model_url(m));
	printf("    window %" PRId64 ", answers up to %" PRId64 " tokens",
	    c->context_window, c->max_tokens);
	if (c->thinking > 0)
		printf(", thinking up to %" PRId64, c->thinking);
	if (*c->effort != '\0')
		printf(", effort %s", c->effort);
	if (c->price_input >= 0 || c->price_output >= 0)
		printf("\n    per million tokens");
	print_price("input", c->price_input);
	print_price("cached", c->price_cached);
	print_price("cache write", c->price_cache_write);
	print_price("output", c->price_output);
	if (*c->fallback != '\0')
		printf("\n    then %s", c->fallback);
	putchar('\n');
}

/* ---- the check ---- */

static void
on_end(void *ctx, struct model_call *call)
{
	struct check *k = ctx;

	k->call = call;
	k->ended_ms = clk_mono_ms();
	if (--*k->left == 0)
		loop_stop(k->loop);
}

static void
check_start(void *arg)
{
	struct check *k = arg;
	struct model_call *call;

	k->began_ms = clk_mono_ms();
	call = model_call_start(&k->rq);
	if (k->call == NULL)
		k->call = call;
}

static void
check_init(struct check *k, struct arena *a, struct loop *l,
    const struct model *m, int *left)
{
	*k = (struct check){ .loop = l, .model = m, .left = left };
	buf_init(&k->messages, a);
	k->rq = (struct model_request){
		.model = m,
		.system = "",
		.request_id = "",
		.tools = "",
		.tool_choice = "",
		.schema = "",
		.extra = "",
		.max_tokens = CHECK_TOKENS,
		.messages = &k->messages,
		.on_end = on_end,
		.ctx = k,
	};
	k->rq.message_count = form_message(a, m, &k->messages, "Say yes.");
	loop_post(l, "check", check_start, k);
}

/* 1 if it answered. */
static int
check_print(const struct check *k)
{
	const struct model_result *r = model_call_result(k->call);
	const struct model_failure *f = &r->failure;
	const char *label = model_conf(k->model)->label;

	if (f->failed) {
		printf("FAIL  %s: %s%s%s", label, f->type,
		    *f->type == '\0' ? "" : ": ", f->message);
		if (*r->request_id != '\0')
			printf(" (request %s)", r->request_id);
		putchar('\n');
		return 0;
	}
	printf("ok    %s: %s answered in %" PRId64 " ms", label,
	    *r->model == '\0' ? model_on_wire(k->model)->id : r->model,
	    k->ended_ms - k->began_ms);
	if (r->usage.input >= 0 && r->usage.output >= 0)
		printf(", %" PRId64 " tokens in, %" PRId64 " out",
		    r->usage.input, r->usage.output);
	putchar('\n');
	return 1;
}

static int
check_all(const struct conf *c, struct err *err)
{
	struct loop *l = loop_new();
	struct fetcher *f = fetcher_new(l);
	struct models *all = models_new(l, f, c, err);
	struct arena *a = arena_open(4096);
	struct check *checks;
	int n = 0, left, good = 0;

	while (all != NULL && models_at(all, (size_t)n) != NULL)
		n++;
	left = n;
	checks = arena_alloc(a, (size_t)(n + 1) * sizeof(*checks));
	for (int i = 0; i < n; i++)
		check_init(&checks[i], a, l, models_at(all, (size_t)i), &left);
	if (n > 0)
		loop_run(l);
	for (int i = 0; i < n; i++) {
		good += check_print(&checks[i]);
		model_call_free(&checks[i].call);
	}
	fetcher_free(&f);
	models_free(&all);
	loop_free(&l);
	arena_close(&a);
	return n == 0 ? EX_CONFIG : good < n;
}

int
models_command(const struct conf *c, int argc, char **argv)
{
	struct models *all;
	struct err err;
	int rc = EX_OK;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--check") != 0))
		return -1;
	if (argc == 2) {
		rc = check_all(c, &err);
	} else {
		all = models_new(NULL, NULL, c, &err);
		rc = all == NULL ? EX_CONFIG : EX_OK;
		for (size_t i = 0; all != NULL && models_at(all, i) != NULL;
		     i++)
			print_model(models_at(all, i));
		models_free(&all);
	}
	if (rc == EX_CONFIG)
		fprintf(stderr, "agent-fpm: %s: %s\n", c->file, err.text);
	return rc;
}
