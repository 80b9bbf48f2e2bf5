/* SPDX-License-Identifier: MIT */
/*
 * The models of a configuration: [model], and one for each [model NAME]. What
 * can be known before a call is checked and made here: provider, URL, key.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/scoreboard.h"
#include "conf/conf.h"
#include "model/call.h"
#include "model/decode.h"
#include "model/provider.h"
#include "model/script_priv.h"

/* ---- one model ---- */

static int
set_id(struct model *m, struct err *err)
{
	const char *id = m->conf->id;

	if (*id == '\0' && m->profile->model_id != NULL)
		id = m->profile->model_id;
	if (*id == '\0' && m->conf != &m->models->conf->model)
		id = m->conf->label;
	m->on_wire.id = id;
	if (*id == '\0')
		return err_set(err, ERR_CONFIG,
		    "model.id is needed: how %s calls the model",
		    m->profile->name);
	m->by = arena_printf(
	    m->models->arena, "%s:%s", model_api_name(m->profile->api), id);
	return 0;
}

/* What of a name may stand in a path (RFC 3986, 2.3), and what must not. */
static void
add_escaped(struct buf *b, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~/:";

	for (; *text != '\0'; text++)
		if (strchr(plain, *text) != NULL)
			buf_putc(b, *text);
		else
			buf_printf(b, "%%%02X", (unsigned char)*text);
}

static void
add_path(struct buf *b, const struct model *m)
{
	const char *version =
	    *m->conf->version != '\0' ? m->conf->version : m->profile->version;
	const char *p = m->profile->path;

	while (*p != '\0') {
		if (strncmp(p, "{id}", 4) == 0) {
			add_escaped(b, m->on_wire.id);
			p += 4;
		} else if (strncmp(p, "{version}", 9) == 0) {
			add_escaped(b, version == NULL ? "" : version);
			p += 9;
		} else {
			buf_putc(b, *p++);
		}
	}
}

static int
set_url(struct model *m, struct err *err)
{
	const char *base =
	    *m->conf->url != '\0' ? m->conf->url : m->profile->url;
	struct buf b;
	size_t len;

	if (m->profile->is_script) {
		m->url = strdup("");
		return 0;
	}
	if (base == NULL || *base == '\0')
		return err_set(err, ERR_CONFIG,
		    "model.url is needed: where your %s is", m->profile->name);
	if (strncmp(base, "https://", 8) != 0 &&
	    strncmp(base, "http://", 7) != 0)
		return err_set(err, ERR_CONFIG,
		    "model.url = %s must begin with https:// or http://", base);
	len = strlen(base);
	while (len > 0 && base[len - 1] == '/')
		len--;
	buf_init(&b, NULL);
	buf_add(&b, base, len);
	add_path(&b, m);
	m->url = strdup(buf_str(&b));
	buf_fini(&b);
	return 0;
}

static int
set_key(struct model *m, struct err *err)
{
	const struct model_profile *p = m->profile;
	const char *variable = p->key_variable == NULL ? "" : p->key_variable;
	struct buf key;
	int rc = conf_model_key(m->conf, variable, &key, err);

	buf_init(&m->key_header, NULL);
	if (rc > 0 && p->key_header != NULL && *p->key_header != '\0')
		buf_printf(
		    &m->key_header, "%s%s", p->key_header, buf_str(&key));
	conf_wipe(&key);
	if (rc != 0 || p->key_optional)
		return rc < 0 ? -1 : 0;
	return err_set(err, ERR_CONFIG,
	    "the provider needs a key: set model.api_key_file, or %s in the "
	    "environment, or use model.provider = script",
	    variable);
}

/* Members that requests have anyway, and that a setting says. */
static const char *const own_members[] = { "messages", "input", "contents",
	"model", "stream", "system", "systemInstruction", "instructions",
	"tools", "tool_choice", "toolConfig", "max_tokens",
	"max_completion_tokens", "max_output_tokens" };

static int
set_members(struct model *m, struct err *err)
{
	struct arena *a = m->models->arena;
	const char *text = m->conf->members;
	const struct json *doc;
	struct buf b;

	m->on_wire.members = "";
	if (*text == '\0')
		return 0;
	doc = json_parse(a, text, strlen(text), JSON_DEPTH_MAX, err);
	if (doc == NULL || !json_is(doc, JSON_OBJECT))
		return err_set(err, ERR_CONFIG,
		    "model.members must be a JSON object, such as "
		    "{\"temperature\":0}");
	for (size_t i = 0; i < sizeof(own_members) / sizeof(own_members[0]);
	     i++)
		if (json_get(doc, own_members[i]) != NULL)
			return err_set(err, ERR_CONFIG,
			    "model.members cannot have \"%s\": requests have "
			    "it anyway",
			    own_members[i]);
	buf_init(&b, a);
	json_add_json(&b, NULL, doc);
	m->on_wire.members = b.data;
	return 0;
}

static int
set_script(struct model *m, struct err *err)
{
	if (!m->profile->is_script)
		return 0;
	m->script = script_load(m->conf->script, err);
	return m->script == NULL ? -1 : 0;
}

/* What the configuration says of images or documents. */
static void
set_taken(struct model *m, int64_t choice, enum model_quirk quirk)
{
	if (choice == CONF_YES)
		m->on_wire.quirks &= ~(unsigned)quirk;
	else if (choice == CONF_NO)
		m->on_wire.quirks |= (unsigned)quirk;
}

static int
model_init(struct model *m, struct models *all, const struct conf_model *c,
    struct err *err)
{
	m->models = all;
	m->conf = c;
	buf_init(&m->key_header, NULL);
	m->profile = profile_of(all->arena, all->conf, c->provider, err);
	if (m->profile == NULL)
		return -1;
	m->engine = m->profile->is_script ? &engine_script : &engine_http;
	m->on_wire.quirks = m->profile->quirks;
	set_taken(m, c->images, MODEL_QUIRK_NO_IMAGES);
	set_taken(m, c->documents, MODEL_QUIRK_NO_FILES);
	m->on_wire.max_tokens = c->max_tokens;
	m->on_wire.thinking = c->thinking;
	m->on_wire.effort = c->effort;
	m->on_wire.cache_markers = (int)c->cache_markers;
	if (set_id(m, err) < 0 || set_url(m, err) < 0 ||
	    set_members(m, err) < 0 || set_key(m, err) < 0)
		return -1;
	return set_script(m, err);
}

/* ---- all of them ---- */

static int
set_fallbacks(struct models *all, struct model *m, struct err *err)
{
	const char *p = m->conf->fallback;
	const struct model *f;
	char name[64];
	size_t n;

	m->fallback =
	    arena_alloc(all->arena, (strlen(p) + 1) * sizeof(*m->fallback));
	for (p += strspn(p, " "); *p != '\0'; p += strspn(p, " ")) {
		n = strcspn(p, " ");
		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		f = models_find(all, name);
		if (f == NULL || f == m)
			return err_set(err, ERR_CONFIG,
			    "model.fallback of %s: \"%s\" is no other model; "
			    "write a section [model %s]",
			    m->conf->label, name, name);
		m->fallback[m->fallback_count++] = f;
		p += n;
	}
	return 0;
}

static int
models_init(struct models *all, struct err *err)
{
	const struct conf *c = all->conf;

	for (size_t i = 0; i <= c->model_count; i++) {
		all->count++;
		if (model_init(&all->model[i], all,
			i == 0 ? &c->model : &c->models[i - 1], err) == 0)
			continue;
		return i == 0 ? -1
			      : err_prefix(
				    err, "[model %s]", c->models[i - 1].label);
	}
	for (size_t i = 0; i < all->count; i++)
		if (set_fallbacks(all, &all->model[i], err) < 0)
			return -1;
	if (models_find(all, c->compact_model) == NULL)
		return err_set(err, ERR_CONFIG,
		    "compact.model: there is no model \"%s\"; write a section "
		    "[model %s]",
		    c->compact_model, c->compact_model);
	return 0;
}

struct models *
models_new(
    struct loop *l, struct fetcher *f, const struct conf *c, struct err *err)
{
	struct models *m = calloc(1, sizeof(*m));

	if (m == NULL)
		abort();
	m->conf = c;
	m->loop = l;
	m->fetcher = f;
	m->arena = arena_open(4096);
	m->model = calloc(c->model_count + 1, sizeof(*m->model));
	if (m->model == NULL)
		abort();
	if (models_init(m, err) < 0)
		models_free(&m);
	return m;
}

void
models_free(struct models **m_p)
{
	struct models *m = *m_p;

	if (m == NULL)
		return;
	*m_p = NULL;
	for (size_t i = 0; i < m->count; i++) {
		conf_wipe(&m->model[i].key_header);
		free(m->model[i].url);
		script_free(&m->model[i].script);
	}
	free(m->model);
	arena_close(&m->arena);
	free(m);
}

void
models_share(struct models *m, struct scoreboard *board)
{
	for (size_t i = 0; i < m->count; i++)
		if (!m->model[i].profile->is_script)
			m->model[i].endpoint = scoreboard_endpoint(board,
			    arena_printf(m->arena, "%s %s", m->model[i].url,
				m->model[i].on_wire.id));
}

const struct model *
models_at(const struct models *m, size_t i)
{
	return i < m->count ? &m->model[i] : NULL;
}

const struct model *
models_find(const struct models *m, const char *name)
{
	if (*name == '\0')
		return &m->model[0];
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->model[i].conf->label, name) == 0)
			return &m->model[i];
	return NULL;
}

const struct model *
model_fallback(const struct model *m, size_t i)
{
	return i < m->fallback_count ? m->fallback[i] : NULL;
}

const struct conf_model *
model_conf(const struct model *m)
{
	return m->conf;
}

const struct model_wire *
model_wire_of(const struct model *m)
{
	return model_wire(m->profile->api);
}

const struct wire_model *
model_on_wire(const struct model *m)
{
	return &m->on_wire;
}

const char *
model_provider(const struct model *m)
{
	return m->profile->name;
}

const char *
model_url(const struct model *m)
{
	return m->url;
}

const char *
model_by(const struct model *m)
{
	return m->by;
}

/* tokens at a price of millionths per million. */
static int64_t
cost_of(int64_t tokens, int64_t price)
{
	int64_t cost;

	if (tokens <= 0 || price <= 0)
		return 0;
	return __builtin_mul_overflow(tokens, price, &cost) ? INT64_MAX / 4
							    : cost / 1000;
}

static int64_t
price_or(int64_t price, int64_t other)
{
	return price >= 0 ? price : other;
}

int64_t
model_cost(const struct model *m, const struct model_usage *u)
{
	const struct conf_model *c = m->conf;
	int64_t cached = u->cached > 0 ? u->cached : 0;
	int64_t written = u->cache_write > 0 ? u->cache_write : 0;

	if (c->price_input < 0 && c->price_output < 0)
		return -1;
	return cost_of(u->input - cached - written, c->price_input) +
	       cost_of(cached, price_or(c->price_cached, c->price_input)) +
	       cost_of(
		   written, price_or(c->price_cache_write, c->price_input)) +
	       cost_of(u->output, c->price_output);
}
