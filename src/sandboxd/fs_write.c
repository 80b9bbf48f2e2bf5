/* SPDX-License-Identifier: MIT */
/*
 * Files to write: a temporary file beside, fsync, rename. Whoever reads sees
 * the old file or the new one, also after a power cut.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/id.h"
#include "base/json.h"
#include "conf/conf.h"
#include "sandboxd/job.h"
#include "sandboxd/path.h"
#include "sandboxd/tree.h"

#define CHANGED                                                                \
	"File appears to have changed externally. Please read it again "       \
	"before writing."

/* A file as it is before it is written. */
struct target {
	const char *path, *name;
	int dir;
	int exists;
	struct stat st;
};

static int
target_open(struct job *j, const char *path, struct target *t, struct err *err)
{
	memset(t, 0, sizeof(*t));
	t->path = path;
	t->dir = path_open_parent(j->ws.root, path, 1, &t->name, err);
	if (t->dir < 0)
		return -1;
	t->exists = fstatat(t->dir, t->name, &t->st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!t->exists || S_ISREG(t->st.st_mode))
		return 0;
	close(t->dir);
	return err_set(err, ERR_INVALID, "%s: is %s", path,
	    S_ISDIR(t->st.st_mode) ? "a directory" : "no regular file");
}

static int
write_all(int fd, const char *p, size_t len)
{
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n) {
		n = write(fd, p, len);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n < 0)
			n = 0;
	}
	return fsync(fd);
}

/* In the place of what is there. Fills st of what is there then. */
static int
replace(struct target *t, const char *p, size_t len, struct err *err)
{
	mode_t mode = t->exists ? t->st.st_mode & 0777 : 0644;
	char name[ID_SIZE];
	int fd, rc;

	id_make(name, ".tmp_");
	fd = openat(t->dir, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return path_error(t->path, errno, err);
	rc = write_all(fd, p, len);
	if (rc == 0)
		rc = fchmod(fd, mode);
	if (rc == 0)
		rc = renameat(t->dir, name, t->dir, t->name);
	if (rc == 0)
		rc = fstat(fd, &t->st);
	if (rc < 0) {
		path_error(t->path, errno, err);
		unlinkat(t->dir, name, 0);
	}
	close(fd);
	return rc < 0 ? -1 : 0;
}

/* The directory's own entry, so that the rename stays. */
static void
sync_dir(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

static int
store(
    struct job *j, struct target *t, const char *p, size_t len, struct err *err)
{
	int64_t before = t->exists ? (int64_t)t->st.st_blocks * 512 : 0;
	int is_new = !t->exists;

	if (len > (size_t)j->conf->sandbox_max_file_bytes)
		return err_limit(err, ERR_TOO_LARGE, "sandbox.max_file",
		    "%s: would have %zu bytes; a file may have %lld", t->path,
		    len, (long long)j->conf->sandbox_max_file_bytes);
	if (workspace_room(&j->ws, (int64_t)len - before, is_new, err) < 0 ||
	    replace(t, p, len, err) < 0)
		return -1;
	sync_dir(t->dir);
	workspace_count(
	    &j->ws, (int64_t)t->st.st_blocks * 512 - before, is_new);
	return 0;
}

static long long
lines_of(const char *p, size_t len)
{
	const char *end = p + len;
	long long n = 0;

	for (; p < end; n++) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p == NULL ? end : p + 1;
	}
	return n;
}

int
fs_write(struct job *j, struct err *err)
{
	const char *path = job_path(j, "path", err);
	struct target t;
	int rc;

	if (path == NULL || target_open(j, path, &t, err) < 0)
		return -1;
	if (t.exists && workspace_changed(&j->ws, path, &t.st)) {
		close(t.dir);
		return err_set(err, ERR_CONFLICT, CHANGED);
	}
	json_add_bool(&j->answer, "created", !t.exists);
	rc = store(j, &t, j->data, j->data_len, err);
	close(t.dir);
	if (rc < 0)
		return -1;
	workspace_saw(&j->ws, path, &t.st);
	json_add_str(&j->answer, "path", path);
	json_add_int(&j->answer, "bytes", (int64_t)j->data_len);
	json_add_int(&j->answer, "lines", lines_of(j->data, j->data_len));
	job_etag(&j->answer, &t.st);
	return 0;
}

/* Of the site: whatever is there, but If-Match and If-None-Match count. */
int
fs_put(struct job *j, struct err *err)
{
	const char *path = job_path(j, "path", err);
	const char *match = json_get_str(j->rq, "match");
	struct buf etag, wanted;
	struct target t;
	int rc = 0;

	if (path == NULL || target_open(j, path, &t, err) < 0)
		return -1;
	buf_init(&etag, j->arena);
	if (t.exists)
		job_etag(&etag, &t.st);
	buf_init(&wanted, j->arena);
	if (match != NULL)
		buf_printf(&wanted, ",\"etag\":\"%s\"", match);
	if (json_get_true(j->rq, "create") && t.exists)
		rc = err_set(err, ERR_PRECONDITION, "%s: is there", path);
	else if (match != NULL &&
		 (!t.exists ||
		     (strcmp(match, "*") != 0 &&
			 strcmp(buf_str(&etag), buf_str(&wanted)) != 0)))
		rc = err_set(
		    err, ERR_PRECONDITION, "%s: is another version", path);
	json_add_bool(&j->answer, "created", !t.exists);
	if (rc == 0)
		rc = store(j, &t, j->data, j->data_len, err);
	close(t.dir);
	if (rc == 0)
		job_etag(&j->answer, &t.st);
	return rc;
}

int
fs_delete(struct job *j, struct err *err)
{
	const char *path = job_path(j, "path", err), *name;
	struct stat st;
	int dir, rc;

	if (path == NULL)
		return -1;
	dir = path_open_parent(j->ws.root, path, 0, &name, err);
	if (dir < 0)
		return -1;
	rc = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
	if (rc == 0 && S_ISDIR(st.st_mode)) {
		int sub = path_open(dir, name, O_RDONLY | O_DIRECTORY, err);

		if (sub >= 0) {
			rc = tree_remove(sub, err);
			close(sub);
		}
		if (sub < 0 || rc < 0) {
			close(dir);
			return -1;
		}
	}
	if (rc == 0)
		rc =
		    unlinkat(dir, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
	if (rc < 0)
		path_error(path, errno, err);
	close(dir);
	workspace_forget(&j->ws);
	return rc < 0 ? -1 : 0;
}

/* ---- edits ---- */

struct edit {
	const char *path, *find, *put;
	int all;
	long long replacements, lines, bytes;
	struct stat st; /* of the file then */
};

static size_t
count_of(const char *text, size_t len, const char *find, size_t n)
{
	const char *end = text + len, *p = text;
	size_t count = 0;

	while ((p = memmem(p, (size_t)(end - p), find, n)) != NULL) {
		p += n;
		count++;
	}
	return count;
}

/* The text with every occurrence replaced, literally. */
static void
replace_all(struct buf *out, const char *text, size_t len, const struct edit *e)
{
	size_t n = strlen(e->find);
	const char *end = text + len, *p = text, *at;

	while ((at = memmem(p, (size_t)(end - p), e->find, n)) != NULL) {
		buf_add(out, p, (size_t)(at - p));
		buf_puts(out, e->put);
		p = at + n;
	}
	buf_add(out, p, (size_t)(end - p));
}

static int
edit_text(struct job *j, struct target *t, struct edit *e, const char *text,
    size_t len, struct err *err)
{
	struct buf out;
	size_t count;

	if (!is_text(text, len))
		return err_set(err, ERR_INVALID, "%s: is no text", e->path);
	count = count_of(text, len, e->find, strlen(e->find));
	if (count == 0)
		return err_set(
		    err, ERR_INVALID, "old_string not found in file");
	if (count > 1 && !e->all)
		return err_set(err, ERR_INVALID,
		    "old_string appears %zu times; set replace_all=true or "
		    "provide more specific text",
		    count);
	buf_init(&out, j->arena);
	replace_all(&out, text, len, e);
	e->replacements = (long long)count;
	e->lines = lines_of(out.data, out.len);
	e->bytes = (long long)out.len;
	return store(j, t, out.data, out.len, err);
}

static int
edit_file(struct job *j, struct edit *e, struct err *err)
{
	struct target t;
	struct stat st;
	char *text = NULL;
	size_t len;
	int fd, rc = -1;

	e->path = path_relative(j->arena, e->path, err);
	if (e->path == NULL)
		return -1;
	fd = path_open_file(
	    j->ws.root, e->path, j->conf->sandbox_max_file_bytes, &st, err);
	if (fd < 0)
		return -1;
	if (workspace_changed(&j->ws, e->path, &st))
		err_set(err, ERR_CONFLICT, CHANGED);
	else
		text =
		    path_read_all(j->arena, fd, (size_t)st.st_size, &len, err);
	close(fd);
	if (text == NULL || target_open(j, e->path, &t, err) < 0)
		return -1;
	if (t.exists && stat_is_same(&st, &t.st))
		rc = edit_text(j, &t, e, text, len, err);
	else /* while it was read: by a command that runs */
		rc = err_set(err, ERR_CONFLICT, CHANGED);
	close(t.dir);
	if (rc == 0)
		workspace_saw(&j->ws, e->path, &t.st);
	e->st = t.st;
	return rc;
}

static int
edit_read(const struct json *v, struct edit *e, struct err *err)
{
	memset(e, 0, sizeof(*e));
	e->path = json_get_str(v, "path");
	e->find = json_get_str(v, "find");
	e->put = json_get_str(v, "replace");
	e->all = json_get_true(v, "replace_all");
	if (e->path == NULL || e->find == NULL || e->put == NULL)
		return err_set(
		    err, ERR_INVALID, "path, find and replace are needed");
	if (*e->find == '\0')
		return err_set(err, ERR_INVALID, "old_string is empty");
	if (strcmp(e->find, e->put) == 0)
		return err_set(
		    err, ERR_INVALID, "old_string and new_string are the same");
	return 0;
}

static const char *
status_of(enum err_code code)
{
	return code == ERR_NONE       ? "ok"
	       : code == ERR_CONFLICT ? "skipped"
				      : "error";
}

/* One after the other; what fails stops none of the others. */
int
fs_edit(struct job *j, struct err *err)
{
	const struct json *v = json_get(j->rq, "edits");
	struct edit e;
	struct err why;

	if (json_count(v) == 0)
		return err_set(err, ERR_INVALID, "there is nothing to edit");
	json_open(&j->answer, "results", '[');
	for (v = json_first(v); v != NULL; v = json_next(v)) {
		err_clear(&why);
		if (edit_read(v, &e, &why) == 0)
			edit_file(j, &e, &why);
		json_open(&j->answer, NULL, '{');
		json_add_str(&j->answer, "path", e.path == NULL ? "" : e.path);
		json_add_int(&j->answer, "replacements", e.replacements);
		json_add_int(&j->answer, "lines", e.lines);
		json_add_int(&j->answer, "bytes", e.bytes);
		json_add_str(&j->answer, "status", status_of(why.code));
		if (why.code != ERR_NONE)
			json_add_str(&j->answer, "message", why.text);
		else
			job_etag(&j->answer, &e.st);
		json_close(&j->answer, '}');
	}
	json_close(&j->answer, ']');
	return 0;
}
