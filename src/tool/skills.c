/* SPDX-License-Identifier: MIT */
/*
 * Skills: folders, files and lookup. skill_read.c reads a SKILL.md,
 * skill_tool.c is the tool. Names that begin with a dot are left out; a
 * symlink is refused and never followed.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "tool/skill_read.h"
#include "tool/skills.h"

#define TEXT_NAME "SKILL.md"
#define TEXT_MAX_BYTES (64 * 1024)
#define SKILLS_MAX 256
#define FILES_MAX 256 /* of a skill */
#define SKILL_MAX_BYTES (16 * 1024 * 1024)
#define ALL_MAX_BYTES (64 * 1024 * 1024)
#define DEPTH_MAX 8
#define PATH_MAX_BYTES 512
#define PROMPT_MAX_BYTES (32 * 1024)

struct skills {
	struct arena *arena;
	const char *dir;
	const struct skill *list[SKILLS_MAX];
	size_t count, bytes;
};

/* A skill that is being read. */
struct reading {
	struct skills *all;
	const char *dir; /* its path, for messages */
	struct skill_file *files;
	size_t count, bytes;
};

/* ---- files ---- */

static int
is_shown(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* Sorted, so that every worker has the same. -1 and err. */
static int
list_dir(int dir, struct dirent ***out_r, struct err *err)
{
	int n = scandirat(dir, ".", out_r, is_shown, alphasort);

	if (n < 0)
		return err_set(err, ERR_CONFIG, "%s", strerror(errno));
	return n;
}

static int
check_path(const char *path, struct err *err)
{
	size_t n = strlen(path);

	if (n > PATH_MAX_BYTES)
		return err_set(err, ERR_CONFIG,
		    "the path is longer than %d bytes", PATH_MAX_BYTES);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)path[i] < ' ' || path[i] == 0x7f)
			return err_set(err, ERR_CONFIG,
			    "the name has a control character");
	if (json_utf8_whole(path, n) != n)
		return err_set(err, ERR_CONFIG, "the name is not UTF-8");
	return 0;
}

/* The error of one of its files. */
static int
fail_at(const struct reading *r, const char *path, struct err *err)
{
	return err_prefix(err, "%s/%s", r->dir, path);
}

static int
file_read_bounded(
    struct reading *r, int fd, int is_text, struct buf *out, struct err *err)
{
	size_t room = SKILL_MAX_BYTES - r->bytes;

	if (r->count == FILES_MAX)
		return err_set(err, ERR_CONFIG,
		    "the skill has more than %d files", FILES_MAX);
	if (is_text && room > TEXT_MAX_BYTES)
		return file_read_fd(fd, TEXT_MAX_BYTES, out, err);
	if (file_read_fd(fd, room, out, err) < 0)
		return out->len <= room
			   ? -1
			   : err_set(err, ERR_CONFIG,
				 "the skill's files have more than %d bytes",
				 SKILL_MAX_BYTES);
	if (r->all->bytes + out->len > ALL_MAX_BYTES)
		return err_set(err, ERR_CONFIG,
		    "the files of all skills have more than %d bytes",
		    ALL_MAX_BYTES);
	return 0;
}

static int
file_add(struct reading *r, int fd, const char *path, struct err *err)
{
	struct skill_file *f = &r->files[r->count];
	struct buf b;

	buf_init(&b, r->all->arena);
	if (file_read_bounded(r, fd, strcmp(path, TEXT_NAME) == 0, &b, err) < 0)
		return -1;
	r->bytes += b.len;
	r->all->bytes += b.len;
	r->count++;
	f->path = path;
	f->data = buf_str(&b);
	f->len = b.len;
	return 0;
}

static int
entry_open(int dir, const char *path, struct stat *st, struct err *err)
{
	const char *name = strrchr(path, '/');
	int fd;

	if (check_path(path, err) < 0)
		return -1;
	fd = openat(dir, name == NULL ? path : name + 1,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, st) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return err_set(err, ERR_CONFIG, "%s",
	    errno == ELOOP ? "is a symlink, and none is followed"
			   : strerror(errno));
}

static int read_dir(
    struct reading *r, int dir, const char *path, int depth, struct err *err);

/* What it is says the open file, so nothing can change in between. */
static int
read_entry(
    struct reading *r, int dir, const char *path, int depth, struct err *err)
{
	struct stat st;
	int fd = entry_open(dir, path, &st, err), rc;

	if (fd < 0)
		return fail_at(r, path, err);
	if (S_ISDIR(st.st_mode)) {
		rc = read_dir(r, fd, path, depth + 1, err);
	} else {
		rc = S_ISREG(st.st_mode)
			 ? file_add(r, fd, path, err)
			 : err_set(err, ERR_CONFIG, "is no regular file");
		if (rc < 0)
			fail_at(r, path, err);
	}
	close(fd);
	return rc;
}

static int
read_dir(
    struct reading *r, int dir, const char *path, int depth, struct err *err)
{
	struct dirent **names;
	const char *slash = *path == '\0' ? "" : "/", *sub;
	int n, rc = 0;

	n = depth > DEPTH_MAX
		? err_set(err, ERR_CONFIG, "folders nest deeper than %d levels",
		      DEPTH_MAX)
		: list_dir(dir, &names, err);
	if (n < 0)
		return fail_at(r, path, err);
	for (int i = 0; i < n; i++) {
		sub = arena_printf(
		    r->all->arena, "%s%s%s", path, slash, names[i]->d_name);
		if (rc == 0)
			rc = read_entry(r, dir, sub, depth, err);
		free(names[i]);
	}
	free(names);
	return rc;
}

/* ---- skills ---- */

static const struct skill_file *
find_text(const struct reading *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->files[i].path, TEXT_NAME) == 0)
			return &r->files[i];
	return NULL;
}

static int
skill_make(struct reading *r, const char *name, struct err *err)
{
	struct skill *s = arena_new(r->all->arena, struct skill);
	const struct skill_file *f = find_text(r);
	int line;

	if (f == NULL)
		return err_set(
		    err, ERR_CONFIG, "%s: there is no " TEXT_NAME, r->dir);
	if (skill_read(r->all->arena, f->data, f->len, s, &line, err) < 0)
		return err_prefix(err, "%s/" TEXT_NAME ":%d", r->dir, line);
	if (strcmp(s->name, name) != 0)
		return err_set(err, ERR_CONFIG,
		    "%s/" TEXT_NAME ":%d: name is \"%s\"; it must be that of "
		    "the folder",
		    r->dir, line, s->name);
	s->files = r->files;
	s->file_count = r->count;
	r->all->list[r->all->count++] = s;
	return 0;
}

/* A folder is a skill; a file beside them, such as a README, is none. */
static int
skill_load(struct skills *all, int dir, const char *name, struct err *err)
{
	struct reading r = { .all = all,
		.dir = arena_printf(all->arena, "%s/%s", all->dir, name) };
	struct stat st;
	int fd, rc;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode))
		return 0;
	if (skill_name_check(name, err) < 0)
		return err_prefix(err, "%s", r.dir);
	if (all->count == SKILLS_MAX)
		return err_set(err, ERR_CONFIG, "%s has more than %d skills",
		    all->dir, SKILLS_MAX);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, ERR_CONFIG, "%s: %s", r.dir,
		    S_ISLNK(st.st_mode) ? "is a symlink, and none is followed"
					: strerror(errno));
	r.files = arena_alloc(all->arena, FILES_MAX * sizeof(*r.files));
	rc = read_dir(&r, fd, "", 0, err);
	close(fd);
	return rc < 0 ? -1 : skill_make(&r, name, err);
}

static int
load_all(struct skills *all, int dir, struct err *err)
{
	struct dirent **names;
	int n = list_dir(dir, &names, err), rc = 0;

	if (n < 0)
		return err_prefix(err, "%s", all->dir);
	for (int i = 0; i < n; i++) {
		if (rc == 0)
			rc = skill_load(all, dir, names[i]->d_name, err);
		free(names[i]);
	}
	free(names);
	return rc;
}

struct skills *
skills_load(const char *dir, struct err *err)
{
	struct skills *all = calloc(1, sizeof(*all));
	int fd, rc = 0;

	if (all == NULL)
		abort();
	all->arena = arena_open(4096);
	all->dir = arena_strdup(all->arena, dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		rc = load_all(all, fd, err);
		close(fd);
	} else if (errno != ENOENT) {
		rc = err_set(err, ERR_CONFIG, "%s: %s", dir, strerror(errno));
	}
	if (rc < 0) {
		err_prefix(err, "skills");
		skills_free(&all);
	}
	return all;
}

void
skills_free(struct skills **s_p)
{
	struct skills *s = *s_p;

	if (s == NULL)
		return;
	*s_p = NULL;
	arena_close(&s->arena);
	free(s);
}

struct skill_list
skills_all(const struct skills *s)
{
	return (struct skill_list){ s->list, s->count };
}

const struct skill *
skill_list_find(const struct skill_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->skills[i]->name, name) == 0)
			return list->skills[i];
	return NULL;
}

void
skill_list_prompt(const struct skill_list *list, struct buf *out)
{
	size_t begin = out->len;

	buf_lit(out,
	    "# Skills\n\n"
	    "A skill is a text that says how some kind of work is done here. "
	    "When a task is of that kind, load the skill first, by the tool "
	    "skills with {\"action\":\"load\",\"name\":NAME}, and do as it "
	    "says.\n\n");
	for (size_t i = 0; i < list->count; i++) {
		const struct skill *s = list->skills[i];

		if (out->len - begin + strlen(s->name) +
			strlen(s->description) >
		    PROMPT_MAX_BYTES) {
			buf_printf(out,
			    "\nThere are %zu more; {\"action\":\"list\"} shows "
			    "all.\n",
			    list->count - i);
			return;
		}
		buf_printf(out, "- %s: %s\n", s->name, s->description);
	}
}
