/* SPDX-License-Identifier: MIT */
/*
 * Files of sessions: those that one has, as GET shows them, and those that it
 * is made with. The latter are only saved; the sandbox gets them with the first
 * call that needs them, as if it had lost them.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/sessions_priv.h"
#include "base/log.h"
#include "conf/conf.h"
#include "sandbox/client.h"
#include "store/files.h"

#define FILES_MAX 1000
#define CONTENTS_MAX 100 /* files that are given with what is in them */
#define CONTENT_MAX_BYTES (256 * 1024)
#define CONTENTS_MAX_BYTES (2 * 1024 * 1024)
#define PATH_MAX_BYTES 1024
#define NAME_MAX_BYTES 255
#define MODE 0644

/* ---- shown ---- */

/* Text that can stand in JSON. */
static int
is_text(const char *p, size_t len)
{
	return json_utf8_whole(p, len) == len && memchr(p, '\0', len) == NULL;
}

/* What was given with its content so far. */
struct given {
	int64_t bytes;
	int count;
};

static int
has_room(struct given *g, int64_t size)
{
	if (size < 0 || size > CONTENT_MAX_BYTES ||
	    g->bytes + size > CONTENTS_MAX_BYTES || g->count >= CONTENTS_MAX)
		return 0;
	g->bytes += size;
	g->count++;
	return 1;
}

/* The members of fs.get for the first bytes of a file. */
static char *
get_members(struct api_call *c, const char *path, int64_t bytes)
{
	struct buf m;

	buf_init(&m, c->arena);
	buf_lit(&m, ",\"path\":");
	json_add_str(&m, NULL, path);
	buf_printf(&m, ",\"from\":0,\"to\":%" PRId64, bytes);
	return m.data;
}

/* The member content of what was got, if that is text. */
static void
add_got(struct buf *b, const struct sandbox_call *call)
{
	const struct buf *data = &call->answer_data;

	if (is_text(buf_str(data), data->len))
		json_add_strn(b, "content", buf_str(data), data->len);
}

static void
add_content(struct api_call *c, struct buf *b, const char *path, int64_t size)
{
	struct sandbox_call call = { .op = "fs.get", .as_it_is = 1 };
	struct err err;

	call.members = get_members(c, path, size);
	/* One that changes or goes meanwhile has no content. */
	if (api_sandbox(c, c->rq->param[0], &call, &err) == 0)
		add_got(b, &call);
}

static void
add_files(struct api_call *c, struct buf *b, const struct json *files)
{
	struct given given = { 0, 0 };

	for (const struct json *j = json_first(files); j != NULL;
	     j = json_next(j)) {
		const char *path = json_get_str(j, "path");
		const char *type = json_get_str(j, "type");
		int64_t size = -1;

		if (path == NULL || type == NULL || strcmp(type, "file") != 0)
			continue;
		json_get_int(j, "size", &size);
		json_open(b, NULL, '{');
		json_add_str(b, "path", path);
		if (has_room(&given, size))
			add_content(c, b, path, size);
		json_close(b, '}');
	}
}

/* What is saved, where there is no workspace. */
static int
add_saved(struct api_call *c, struct buf *b, struct err *err)
{
	struct given given = { 0, 0 };
	struct store_files f;
	const char **content;

	if (store_files_look(
		c->app->store, c->arena, c->user, c->rq->param[0], &f, err) < 0)
		return -1;
	content = arena_alloc(c->arena, (f.count + 1) * sizeof(*content));
	for (size_t i = 0; i < f.count && i < FILES_MAX; i++)
		if (has_room(&given, f.files[i].size) &&
		    store_files_read(c->app->store, c->arena, c->rq->param[0],
			&f.files[i], 1, &content[i], err) < 0)
			return -1;
	for (size_t i = 0; i < f.count && i < FILES_MAX; i++) {
		size_t len = (size_t)f.files[i].size;

		json_open(b, NULL, '{');
		json_add_str(b, "path", f.files[i].path);
		if (content[i] != NULL && is_text(content[i], len))
			json_add_strn(b, "content", content[i], len);
		json_close(b, '}');
	}
	return 0;
}

void
session_add_files(struct api_call *c, struct buf *b)
{
	struct sandbox_call call = { .op = "fs.list", .as_it_is = 1 };
	struct err err = { 0 };
	int rc = -1;

	json_open(b, "workspaceFiles", '[');
	call.members = arena_printf(c->arena, ",\"limit\":%d", FILES_MAX);
	if (c->app->sandbox != NULL)
		rc = api_sandbox(c, c->rq->param[0], &call, &err);
	if (rc < 0 && err.code != ERR_NONE && err.code != ERR_NOT_FOUND)
		log_warn("files of %s: %s", c->rq->param[0], err.text);
	if (rc == 0)
		add_files(c, b, json_get(call.answer, "files"));
	else if (add_saved(c, b, &err) < 0)
		log_warn("saved files of %s: %s", c->rq->param[0], err.text);
	json_close(b, ']');
}

/* One file, with what is in it if that can be shown. */
int
session_file(void *call, struct err *err)
{
	struct api_call *c = call;
	struct sandbox_call get = { .op = "fs.get" };
	struct buf *b = &c->rs->body;
	struct store_session s;
	const char *id;
	int64_t size = 0;

	if (session_find(c, &id, &s, err) < 0)
		return session_fail(
		    c, err, "Failed to get file", "FILE_GET_FAILED");
	get.members = get_members(c, c->rq->param[1], CONTENT_MAX_BYTES);
	if (api_sandbox(c, c->rq->param[0], &get, err) < 0)
		return err->code == ERR_NOT_FOUND || err->code == ERR_INVALID
			   ? session_refuse(
				 c, 404, "File not found", "FILE_NOT_FOUND")
			   : session_fail(c, err, "Failed to get file",
				 "FILE_GET_FAILED");
	json_get_int(get.answer, "size", &size);
	http_json(c->rs, 200);
	json_open(b, NULL, '{');
	json_add_str(b, "path", c->rq->param[1]);
	if (size <= CONTENT_MAX_BYTES)
		add_got(b, &get);
	json_close(b, '}');
	return 0;
}

/* ---- that it is made with ---- */

/* A path below the workspace, in its one form. */
static int
is_path(const char *p)
{
	size_t n;

	if (strlen(p) > PATH_MAX_BYTES)
		return 0;
	for (;; p += n + 1) {
		n = strcspn(p, "/");
		if (n == 0 || n > NAME_MAX_BYTES ||
		    (n <= 2 && strncmp(p, "..", n) == 0))
			return 0;
		if (p[n] == '\0')
			return 1;
	}
}

static int
by_path(const void *a, const void *b)
{
	const struct session_file *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* 1 if another one has the path, or is where a directory of it would be. */
static int
collides(struct api_call *c, const struct session_files *f, size_t i)
{
	char *path = arena_strdup(c->arena, f->files[i].path), *slash;
	struct session_file key = { .path = path };

	if (i > 0 && strcmp(f->files[i - 1].path, path) == 0)
		return 1;
	while ((slash = strrchr(path, '/')) != NULL) {
		*slash = '\0';
		if (bsearch(&key, f->files, f->count, sizeof(key), by_path) !=
		    NULL)
			return 1;
	}
	return 0;
}

/* 0, or it was answered: 1. */
static int
refuse(struct api_call *c, const char *code, const char *text)
{
	session_refuse(c, 400,
	    arena_printf(c->arena, "defaultWorkspaceFiles: %s", text), code);
	return 1;
}

static int
check_paths(struct api_call *c, const struct session_files *f)
{
	for (size_t i = 0; i < f->count; i++) {
		if (!is_path(f->files[i].path))
			return refuse(c, "INVALID",
			    "a path is not one below the workspace, without "
			    "empty parts, \".\" and \"..\"");
		if (collides(c, f, i))
			return refuse(c, "INVALID",
			    "two files have one path, or one is where another "
			    "has a directory");
	}
	return 0;
}

static int
check_sizes(struct api_call *c, const struct session_files *f)
{
	const struct conf *conf = c->app->conf;
	int64_t bytes = 0;

	if ((int64_t)f->count > conf->bridge_sync_files)
		return refuse(
		    c, "TOO_LARGE", "there are more than bridge.sync_files");
	for (size_t i = 0; i < f->count; i++) {
		bytes += (int64_t)f->files[i].len;
		if ((int64_t)f->files[i].len > conf->bridge_sync_file_bytes)
			return refuse(c, "TOO_LARGE",
			    "one is larger than bridge.sync_file_size");
	}
	if (bytes > conf->bridge_sync_bytes)
		return refuse(
		    c, "TOO_LARGE", "they are larger than bridge.sync_size");
	return 0;
}

int
session_body_files(struct api_call *c, struct session_files *out)
{
	const struct json *list = json_get(c->body, "defaultWorkspaceFiles");

	*out = (struct session_files){ .files = arena_alloc(
					   c->arena, (json_count(list) + 1) *
							 sizeof(*out->files)) };
	for (const struct json *j = json_first(list); j != NULL;
	     j = json_next(j)) {
		struct session_file *f = &out->files[out->count++];
		const char *content = json_get_str(j, "content");

		f->path = json_get_str(j, "path");
		f->content = content == NULL ? "" : content;
		f->len = strlen(f->content);
	}
	if (out->count == 0)
		return 1;
	qsort(out->files, out->count, sizeof(*out->files), by_path);
	if (c->app->sandbox == NULL)
		return !refuse(c, "INVALID",
		    "sessions of this server have no files: neither "
		    "sandbox.socket nor sandbox.address is set");
	return !check_paths(c, out) && !check_sizes(c, out);
}

int
session_save_files(struct api_call *c, const char *agent,
    const struct session_files *files, struct err *err)
{
	for (size_t i = 0; i < files->count; i++) {
		struct store_file f = { .path = files->files[i].path,
			.size = (int64_t)files->files[i].len,
			.mode = MODE,
			.etag = STORE_ETAG_NONE };

		/* One that is saved already is of a repeated call. */
		if (store_files_save(c->app->store, c->arena, c->user, agent,
			&f, NULL, files->files[i].content, "", err) < 0)
			return -1;
	}
	return 0;
}
