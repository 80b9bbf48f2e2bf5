/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm ctl import DIR: takes in what export has written, for the same
 * user, with the same ids. Nothing that is there is overwritten: such an agent
 * is left as it is and said, and the others are taken in. So an import that
 * was stopped is begun again.
 *
 * What was used comes first, as an agent at work counts on from there. Of an
 * agent the files come first, and the agent is there when all of it is. When
 * all agents are their turns go on: they may have to do with each other.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/id.h"
#include "base/json.h"
#include "ctl/ctl_priv.h"
#include "ctl/untar.h"
#include "sandbox/client.h"
#include "store/portable.h"

#define HEAD_MAX 65536
#define DEPTH 8
#define FILE_MAX (64 * INT64_C(1048576)) /* a frame's data */

struct in {
	struct means *means;
	const char *dir;
	struct arena *arena;
	const char *user;
	int64_t format;
	int64_t agents, files, left; /* left: not taken in */
};

static FILE *
file_open(struct in *in, const char *name, struct err *err)
{
	const char *path = arena_printf(in->arena, "%s/%s", in->dir, name);
	FILE *f = fopen(path, "re");

	if (f == NULL)
		err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_INTERNAL,
		    "%s: %s", path, strerror(errno));
	return f;
}

static int
read_head(struct in *in, struct err *err)
{
	const char *path = arena_printf(in->arena, "%s/user.json", in->dir);
	const struct json *j;
	struct buf b;

	buf_init(&b, in->arena);
	if (file_read(path, HEAD_MAX, &b, err) < 0)
		return err_prefix(err, "%s, which an export writes last", path);
	j = json_parse(in->arena, b.data, b.len, DEPTH, err);
	if (j == NULL)
		return err_prefix(err, "%s", path);
	in->user = json_get_str(j, "user");
	if (in->user == NULL || !json_get_int(j, "format", &in->format) ||
	    in->format < 1 || in->format > CTL_EXPORT_FORMAT)
		return err_set(err, ERR_REQUEST,
		    "%s is of no export that this version knows", path);
	return 0;
}

/* ---- lines ---- */

/* fn for each line of a file. */
static int
each_line(
    FILE *f, const char *name, store_line_f *fn, void *ctx, struct err *err)
{
	char *line = NULL;
	size_t size = 0, number = 0;
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = getline(&line, &size, f)) > 0) {
		number++;
		n -= line[n - 1] == '\n';
		rc = fn(ctx, line, (size_t)n, err);
	}
	if (rc < 0)
		err_prefix(err, "%s:%zu", name, number);
	else if (ferror(f))
		rc =
		    err_set(err, ERR_INTERNAL, "%s: %s", name, strerror(errno));
	free(line);
	return rc;
}

static int
agent_line(void *ctx, const char *line, size_t len, struct err *err)
{
	return store_import_line(ctx, line, len, err);
}

static int
look_line(void *ctx, const char *line, size_t len, struct err *err)
{
	return store_import_look(ctx, line, len, err);
}

static int
usage_line(void *ctx, const char *line, size_t len, struct err *err)
{
	struct in *in = ctx;

	return store_import_usage(
	    means_store(in->means), in->user, line, len, err);
}

/* ---- files ---- */

static int
put_file(struct in *in, struct arena *a, const char *id, const char *path,
    const struct buf *content, struct err *err)
{
	struct sandbox_call call = { .op = "fs.put",
		.arena = a,
		.user = in->user,
		.agent = id,
		.data = content->data,
		.data_len = content->len };
	struct buf m;

	buf_init(&m, a);
	buf_lit(&m, ",\"path\":");
	json_add_str(&m, NULL, path);
	call.members = buf_str(&m);
	if (sandbox_ask(means_sandbox(in->means), &call, err) < 0)
		return err_prefix(err, "%s", path);
	in->files++;
	return 0;
}

/* One entry; what is no regular file is made by what is in it, or left. */
static int
take_entry(struct in *in, FILE *f, const char *id, const struct untar_entry *e,
    struct err *err)
{
	struct arena *a;
	struct buf content;
	int rc;

	if (e->type != '0')
		return untar_skip(f, e, err);
	if (e->size > FILE_MAX)
		return err_set(
		    err, ERR_TOO_LARGE, "%s is too large", buf_str(e->name));
	a = arena_open(8192);
	buf_init(&content, NULL);
	rc = untar_read(f, e, &content, err);
	if (rc == 0)
		rc = put_file(in, a, id, buf_str(e->name), &content, err);
	buf_fini(&content);
	arena_close(&a);
	return rc;
}

static int
import_files(struct in *in, const char *id, struct err *err)
{
	const char *name = arena_printf(in->arena, "files/%s.tar", id);
	FILE *f = file_open(in, name, err);
	struct untar_entry e;
	struct buf path;
	int rc = 1;

	if (f == NULL)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	if (means_sandbox(in->means) == NULL) {
		fclose(f);
		return err_set(err, ERR_CONFIG,
		    "%s: there is no sandbox here to take the files", name);
	}
	buf_init(&path, NULL);
	e.name = &path;
	while (rc > 0 && (rc = untar_next(f, &e, err)) > 0)
		rc = take_entry(in, f, id, &e, err) < 0 ? -1 : 1;
	if (rc < 0)
		err_prefix(err, "%s", name);
	buf_fini(&path);
	fclose(f);
	return rc;
}

/* ---- agents ---- */

static int
import_agent(struct in *in, const char *id, struct err *err)
{
	const char *name = arena_printf(in->arena, "agents/%s.jsonl", id);
	struct store_import *im = NULL;
	FILE *f = file_open(in, name, err);
	int rc;

	if (f == NULL)
		return -1;
	rc = store_import_begin(means_store(in->means), in->user, id, &im, err);
	if (rc == 0)
		rc = each_line(f, name, look_line, im, err);
	if (rc == 0)
		rc = store_import_looked(im, in->format > 1, err);
	if (rc == 0)
		rc = import_files(in, id, err);
	if (rc == 0 && fseek(f, 0, SEEK_SET) < 0)
		rc =
		    err_set(err, ERR_INTERNAL, "%s: %s", name, strerror(errno));
	if (rc == 0)
		rc = each_line(f, name, agent_line, im, err);
	if (rc == 0)
		rc = store_import_end(im, err);
	store_import_free(&im);
	fclose(f);
	in->agents += rc == 0;
	return rc;
}

/* The id that a name ID.jsonl has, or NULL. */
static const char *
id_of(struct arena *a, const char *name)
{
	const char *dot = strstr(name, ".jsonl"), *id;

	if (dot == NULL || dot[6] != '\0')
		return NULL;
	id = arena_memdup(a, name, (size_t)(dot - name));
	return id_valid(id, "agt_") ? id : NULL;
}

typedef int agent_f(struct in *in, const char *id, struct err *err);

/* fn for each agent; what is in conflict with one that is there is said. */
static int
each_agent(struct in *in, agent_f *fn, struct err *err)
{
	const char *path = arena_printf(in->arena, "%s/agents", in->dir), *id;
	DIR *d = opendir(path);
	struct dirent *e;
	int rc = 0;

	if (d == NULL)
		return err_set(
		    err, ERR_REQUEST, "%s: %s", path, strerror(errno));
	while (rc == 0 && (e = readdir(d)) != NULL) {
		id = id_of(in->arena, e->d_name);
		if (id == NULL)
			continue;
		rc = fn(in, id, err);
		if (rc < 0 && err->code == ERR_CONFLICT) {
			fprintf(stderr, "agent-fpm: %s\n", err->text);
			in->left++;
			rc = 0;
		}
	}
	closedir(d);
	return rc;
}

static int
wake_agent(struct in *in, const char *id, struct err *err)
{
	return store_import_wake(means_store(in->means), in->user, id, err);
}

static int
import_usage(struct in *in, struct err *err)
{
	FILE *f = file_open(in, "usage.jsonl", err);
	int rc;

	if (f == NULL)
		return -1;
	rc = each_line(f, "usage.jsonl", usage_line, in, err);
	fclose(f);
	return rc;
}

int
ctl_import(struct ctl *ctl, struct err *err)
{
	struct in in = { .dir = ctl->argument };
	int rc;

	if (means_new(ctl->conf, &in.means, err) < 0)
		return -1;
	in.arena = arena_open(65536);
	rc = read_head(&in, err);
	if (rc == 0)
		rc = import_usage(&in, err);
	if (rc == 0)
		rc = each_agent(&in, import_agent, err);
	if (rc == 0)
		rc = each_agent(&in, wake_agent, err);
	if (rc < 0 && (err->code == ERR_STORE || err->code == ERR_UNCERTAIN))
		err_prefix(err, "begin again, what is missing is taken in");
	if (rc == 0 && ctl->json)
		printf("{\"agents\":%" PRId64 ",\"files\":%" PRId64
		       ",\"left\":%" PRId64 "}\n",
		    in.agents, in.files, in.left);
	else if (rc == 0) {
		printf("%" PRId64 " agents and %" PRId64 " files of ",
		    in.agents, in.files);
		ctl_print_word(in.user);
		puts(" are taken in");
	}
	if (rc == 0 && in.left > 0)
		rc = err_set(err, ERR_CONFLICT,
		    "%" PRId64 " agents were there already, or left out",
		    in.left);
	arena_close(&in.arena);
	means_free(&in.means);
	return rc;
}
