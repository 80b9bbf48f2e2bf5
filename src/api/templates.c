/* SPDX-License-Identifier: MIT */
/*
 * Agent templates. A file templates.d/NAME.json is an object with any of
 * description, systemPrompt and model; agents copy what they need from it
 * when they are made, so that changing a file changes no agent.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_priv.h"
#include "api/templates.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"

#define FILE_MAX_BYTES (256 * 1024)
#define FILES_MAX 256
#define DEPTH 8

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
read_file(const char *path, struct buf *out, struct err *err)
{
	FILE *f = fopen(path, "re");
	char chunk[4096];
	size_t n;

	if (f == NULL)
		return err_set(
		    err, ERR_CONFIG, "template %s: %s", path, strerror(errno));
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0 &&
	       out->len <= FILE_MAX_BYTES)
		buf_add(out, chunk, n);
	fclose(f);
	if (out->len > FILE_MAX_BYTES)
		return err_set(err, ERR_CONFIG,
		    "template %s: larger than %d bytes", path, FILE_MAX_BYTES);
	return 0;
}

static const char *
member(const struct json *j, const char *name)
{
	const char *s = json_get_str(j, name);

	return s == NULL ? "" : s;
}

static int
template_read(
    struct templates *t, const char *dir, const char *file, struct err *err)
{
	const char *path = arena_printf(t->arena, "%s/%s", dir, file);
	struct agent_template *at = &t->list[t->count];
	const struct json *j;
	struct buf text;

	buf_init(&text, t->arena);
	if (read_file(path, &text, err) < 0)
		return -1;
	j = json_parse(t->arena, buf_str(&text), text.len, DEPTH, err);
	if (j == NULL || !json_is(j, JSON_OBJECT)) {
		if (j != NULL)
			err_set(err, ERR_CONFIG, "not a JSON object");
		err->code = ERR_CONFIG;
		return err_prefix(err, "template %s", path);
	}
	at->name = arena_memdup(t->arena, file, strlen(file) - 5);
	at->description = member(j, "description");
	at->prompt = member(j, "systemPrompt");
	at->model = member(j, "model");
	t->count++;
	return 0;
}

struct templates *
templates_load(const char *dir, struct err *err)
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
		if (rc == 0 && t->count < FILES_MAX)
			rc = template_read(t, dir, files[i]->d_name, err);
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
templates_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct buf *b = &c->rs->body;
	const struct agent_template *at;

	(void)err;
	http_json(c->rs, 200);
	buf_putc(b, '{');
	json_open(b, "templates", '[');
	for (size_t i = 0; (at = templates_at(c->app->templates, i)) != NULL;
	     i++) {
		json_open(b, NULL, '{');
		json_add_str(b, "name", at->name);
		json_add_str(b, "description", at->description);
		if (*at->model != '\0')
			json_add_str(b, "model", at->model);
		json_close(b, '}');
	}
	buf_puts(b, "]}");
	return 0;
}
