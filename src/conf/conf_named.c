/* SPDX-License-Identifier: MIT */
/*
 * Sections that may be there many times: [model NAME], [provider NAME],
 * [issuer NAME] and [api_key NAME].
 * What they set is collected while the file is read, since [model], whose
 * values the models begin with, may stand behind them.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/conf_priv.h"

/* What belongs to a provider, and not to the model of another. */
static const char *const with_provider[] = { "model.url", "model.id",
	"model.api_key_file", "model.headers", "model.members", "model.version",
	"model.effort", "model.script" };

const char *const named_words[NAMED_KINDS] = { "model", "provider", "issuer",
	"api_key" };

static const size_t origins[NAMED_KINDS] = { offsetof(struct conf, model),
	offsetof(struct conf, provider), offsetof(struct conf, issuer),
	offsetof(struct conf, api_key) };

size_t
named_origin(const struct setting *s)
{
	size_t n;

	for (int i = 0; i < NAMED_KINDS; i++) {
		n = strlen(named_words[i]);
		if (strncmp(s->name, named_words[i], n) == 0 &&
		    s->name[n] == '.')
			return origins[i];
	}
	return 0;
}

int
conf_label_is_good(const char *label)
{
	size_t n =
	    strspn(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			  "0123456789._:/-");

	return n > 0 && n < 64 && label[n] == '\0';
}

static char *
copy(const char *text)
{
	char *s = strdup(text);

	if (s == NULL)
		abort();
	return s;
}

static void
values_free(struct named *n)
{
	struct named_value *v;

	while ((v = n->values) != NULL) {
		n->values = v->next;
		free(v->text);
		free(v);
	}
}

void
named_free(struct named **first_p)
{
	struct named *n;

	while ((n = *first_p) != NULL) {
		*first_p = n->next;
		values_free(n);
		free(n);
	}
}

/* The strings of a section of that kind, which are its own. */
static void
strings_free(void *base, size_t origin)
{
	for (size_t i = 0; i < settings_count; i++)
		if (settings[i].type == SETTING_STRING &&
		    named_origin(&settings[i]) == origin)
			free(*(char **)(void *)((char *)base +
						(settings[i].offset - origin)));
}

void
named_conf_free(struct conf *c)
{
	for (size_t i = 0; i < c->model_count; i++) {
		strings_free(&c->models[i], offsetof(struct conf, model));
		free(c->models[i].label);
	}
	for (size_t i = 0; i < c->provider_count; i++) {
		strings_free(&c->providers[i], offsetof(struct conf, provider));
		free(c->providers[i].label);
	}
	for (size_t i = 0; i < c->issuer_count; i++) {
		strings_free(&c->issuers[i], offsetof(struct conf, issuer));
		free(c->issuers[i].label);
	}
	for (size_t i = 0; i < c->api_key_count; i++) {
		strings_free(&c->api_keys[i], offsetof(struct conf, api_key));
		free(c->api_keys[i].label);
	}
	free(c->models);
	free(c->providers);
	free(c->issuers);
	free(c->api_keys);
	free(c->model.label);
}

/* The value of a setting below n, or NULL. */
static const char *
value_of(const struct named *n, const char *setting)
{
	for (const struct named_value *v = n->values; v != NULL; v = v->next)
		if (strcmp(v->setting->name, setting) == 0)
			return v->text;
	return NULL;
}

static int
goes_with_provider(const struct setting *s)
{
	for (size_t i = 0; i < sizeof(with_provider) / sizeof(with_provider[0]);
	     i++)
		if (strcmp(s->name, with_provider[i]) == 0)
			return 1;
	return 0;
}

/* A copy of the defaults, with strings of its own. */
static void
begin_as(void *base, const struct conf *c, size_t origin, size_t bytes,
    int other_provider)
{
	const struct setting *s;
	char **str;

	memcpy(base, (const char *)c + origin, bytes);
	for (size_t i = 0; i < settings_count; i++) {
		s = &settings[i];
		if (s->type != SETTING_STRING || named_origin(s) != origin)
			continue;
		str = (char **)(void *)((char *)base + (s->offset - origin));
		if (strcmp(s->name, "model.fallback") == 0 ||
		    (other_provider && goes_with_provider(s)))
			*str = copy(s->fallback);
		else
			*str = copy(*str);
	}
}

struct mistakes {
	void (*complain)(void *ctx, int line, const char *text);
	void *ctx;
};

static void
apply(
    const struct named *n, void *base, size_t origin, const struct mistakes *m)
{
	struct buf why;

	for (const struct named_value *v = n->values; v != NULL; v = v->next) {
		buf_init(&why, NULL);
		if (setting_parse(v->setting, v->text, base, origin, &why) < 0)
			m->complain(m->ctx, v->line, buf_str(&why));
		buf_fini(&why);
	}
}

static void
model_make(struct conf *c, const struct named *n, const struct mistakes *m)
{
	const char *provider = value_of(n, "model.provider");
	struct conf_model *model = &c->models[c->model_count++];
	int other =
	    provider != NULL && strcmp(provider, c->model.provider) != 0;

	begin_as(model, c, offsetof(struct conf, model), sizeof(*model), other);
	if (other || value_of(n, "model.id") != NULL)
		model->price_input = model->price_cached =
		    model->price_cache_write = model->price_output = -1;
	model->label = copy(n->label);
	apply(n, model, offsetof(struct conf, model), m);
}

static void
issuer_make(struct conf *c, const struct named *n, const struct mistakes *m)
{
	struct conf_issuer *is = &c->issuers[c->issuer_count++];

	begin_as(is, c, offsetof(struct conf, issuer), sizeof(*is), 0);
	is->label = copy(n->label);
	apply(n, is, offsetof(struct conf, issuer), m);
}

static void
api_key_make(struct conf *c, const struct named *n, const struct mistakes *m)
{
	struct conf_api_key *k = &c->api_keys[c->api_key_count++];

	begin_as(k, c, offsetof(struct conf, api_key), sizeof(*k), 0);
	k->label = copy(n->label);
	apply(n, k, offsetof(struct conf, api_key), m);
}

static void
provider_make(struct conf *c, const struct named *n, const struct mistakes *m)
{
	struct conf_provider *p = &c->providers[c->provider_count++];

	begin_as(p, c, offsetof(struct conf, provider), sizeof(*p), 0);
	p->label = copy(n->label);
	apply(n, p, offsetof(struct conf, provider), m);
}

void
named_resolve(struct conf *c, const struct named *first,
    void (*complain)(void *ctx, int line, const char *text), void *ctx)
{
	static void (*const make[NAMED_KINDS])(struct conf *,
	    const struct named *, const struct mistakes *) = { model_make,
		provider_make, issuer_make, api_key_make };
	const struct mistakes m = { complain, ctx };
	size_t count = 1;

	for (const struct named *n = first; n != NULL; n = n->next)
		count++;
	c->model.label = copy("default");
	c->models = calloc(count, sizeof(*c->models));
	c->providers = calloc(count, sizeof(*c->providers));
	c->issuers = calloc(count, sizeof(*c->issuers));
	c->api_keys = calloc(count, sizeof(*c->api_keys));
	if (c->models == NULL || c->providers == NULL || c->issuers == NULL ||
	    c->api_keys == NULL)
		abort();
	for (const struct named *n = first; n != NULL; n = n->next)
		make[n->kind](c, n, &m);
}

const struct conf_model *
conf_model_find(const struct conf *c, const char *label)
{
	if (*label == '\0' || strcmp(label, c->model.label) == 0)
		return &c->model;
	for (size_t i = 0; i < c->model_count; i++)
		if (strcmp(c->models[i].label, label) == 0)
			return &c->models[i];
	return NULL;
}
