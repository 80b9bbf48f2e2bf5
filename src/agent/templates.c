/* SPDX-License-Identifier: MIT */
/* Templates: folders, files and lookup. template_read.c has their members. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/template_read.h"
#include "agent/templates.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "conf/conf.h"

#define FILE_MAX_BYTES (256 * 1024)
#define FILES_MAX 256
#define DEPTH 32

struct templates {
	struct arena *arena;
	struct agent_template list[FILES_MAX];
	size_t count;
};

static int
is_template(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 5 && d->d_name[0] != '.' &&
	       strcmp(d->d_name + n - 5, ".json") == 0;
}

static int
template_add(struct templates *t, const struct skills *skills, const char *path,
    const char *file, struct err *err)
{
	struct agent_template *at = &t->list[t->count];
	const struct json *j;
	struct buf text;

	buf_init(&text, t->arena);
	if (file_read(path, FILE_MAX_BYTES, &text, err) < 0)
		return -1;
	j = json_parse(t->arena, buf_str(&text), text.len, DEPTH, err);
	if (j == NULL)
		return -1;
	at->name = arena_memdup(t->arena, file, strlen(file) - 5);
	if (template_read(t->arena, j, skills, at, err) < 0)
		return -1;
	t->count++;
	return 0;
}

static int
template_load(struct templates *t, const struct skills *skills, const char *dir,
    const char *file, struct err *err)
{
	const char *path = arena_printf(t->arena, "%s/%s", dir, file);

	if (t->count == FILES_MAX)
		return err_set(err, ERR_CONFIG,
		    "templates: %s has more than %d of them", dir, FILES_MAX);
	if (template_add(t, skills, path, file, err) == 0)
		return 0;
	err->code = ERR_CONFIG;
	return err_prefix(err, "template %s", path);
}

struct templates *
templates_load(const char *dir, const struct skills *skills, struct err *err)
{
	struct templates *t = calloc(1, sizeof(*t));
	struct dirent **files;
	int n, rc = 0;

	if (t == NULL)
		abort();
	t->arena = arena_open(4096);
	n = scandir(dir, &files, is_template, alphasort);
	if (n < 0 && errno != ENOENT)
		rc = err_set(
		    err, ERR_CONFIG, "templates: %s: %s", dir, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (rc == 0)
			rc = template_load(
			    t, skills, dir, files[i]->d_name, err);
		free(files[i]);
	}
	if (n >= 0)
		free(files);
	if (rc < 0)
		templates_free(&t);
	return t;
}

void
templates_free(struct templates **t_p)
{
	struct templates *t = *t_p;

	if (t == NULL)
		return;
	*t_p = NULL;
	arena_close(&t->arena);
	free(t);
}

const struct agent_template *
templates_find(const struct templates *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->list[i].name, name) == 0)
			return &t->list[i];
	return NULL;
}

const struct agent_template *
templates_at(const struct templates *t, size_t i)
{
	return i < t->count ? &t->list[i] : NULL;
}

int
templates_have_budgets(const struct templates *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (budget_any(&t->list[i].budgets))
			return 1;
	return 0;
}

int
templates_call_out(const struct templates *t)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->list[i].http_tool_count > 0)
			return 1;
		for (int k = 0; k < HOOK_COUNT; k++)
			if (t->list[i].hooks[k].url != NULL)
				return 1;
	}
	return 0;
}

int
templates_check_models(
    const struct templates *t, const struct conf *c, struct err *err)
{
	const struct agent_template *one;
	const struct json *m;

	for (size_t i = 0; i < t->count; i++) {
		one = &t->list[i];
		if (conf_model_find(c, one->model) == NULL)
			return err_set(err, ERR_CONFIG,
			    "template %s: model \"%s\" is not configured; "
			    "write a section [model %s]",
			    one->name, one->model, one->model);
		for (m = json_first(one->models); m != NULL; m = json_next(m))
			if (conf_model_find(c, json_str(m)) == NULL)
				return err_set(err, ERR_CONFIG,
				    "template %s: models: \"%s\" is not "
				    "configured; write a section [model %s]",
				    one->name, json_str(m), json_str(m));
	}
	return 0;
}

static int
is_allowed(const struct agent_template *t, const char *name)
{
	if (t == NULL || t->models == NULL || strcmp(t->model, name) == 0)
		return 1;
	for (const struct json *m = json_first(t->models); m != NULL;
	     m = json_next(m))
		if (strcmp(json_str(m), name) == 0)
			return 1;
	return 0;
}

int
template_allows_model(const struct agent_template *t, const struct conf *c,
    const char *name, struct err *err)
{
	struct buf names;

	if (*name == '\0' ||
	    (conf_model_find(c, name) != NULL && is_allowed(t, name)))
		return 0;
	buf_init(&names, NULL);
	if (is_allowed(t, "default"))
		buf_puts(&names, " default");
	for (size_t i = 0; i < c->model_count; i++)
		if (is_allowed(t, c->models[i].label))
			buf_printf(&names, " %s", c->models[i].label);
	err_set(err, ERR_INVALID, "model: \"%.64s\" is none of:%s", name,
	    buf_str(&names));
	buf_fini(&names);
	return -1;
}
