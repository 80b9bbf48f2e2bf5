/* SPDX-License-Identifier: MIT */
/* The directories of workspaces, and who is in them. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/lck.h"
#include "base/sha256.h"
#include "conf/conf.h"
#include "sandboxd/jobs.h"
#include "sandboxd/path.h"
#include "sandboxd/seen.h"
#include "sandboxd/tree.h"
#include "sandboxd/workspace.h"

#define HASH_CHARS 32
#define AGENT_MAX (WORKSPACE_AGENT_SIZE - 1)
#define IDLE_MAX 256 /* entries that are kept though nobody is in them */
#define WAIT_MS 1000
#define KNOWN_MS 2000 /* that a count is good for: commands write too */

struct workspace_entry {
	char key[WORKSPACE_KEY_SIZE]; /* HASH/AGENT */
	int users;                    /* in it, or waiting */
	int readers, writer;
	int64_t known_until_ms; /* what usage is */
	int deleted;            /* and not to be made again */
	struct usage usage;
	struct seen *seen;
	UT_hash_handle hh;
};

struct workspaces {
	const struct conf *conf;
	int root;
	struct lck lck;
	struct lck_cond left;
	struct workspace_entry *entries; /* idle ones in the order of use */
};

/* ---- names ---- */

static int
is_agent(const char *name)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	size_t n = name == NULL ? 0 : strlen(name);

	return n > 0 && n <= AGENT_MAX && strspn(name, set) == n;
}

/* The first HASH_CHARS of out, and no 0 byte. */
static void
put_hash(const char *user, char *out)
{
	char hash[SHA256_HEX_SIZE];

	sha256_hex(user, strlen(user), hash);
	memcpy(out, hash, HASH_CHARS);
}

int
workspace_name(const char *user, const char *agent, char *out, struct err *err)
{
	size_t n = agent == NULL ? 0 : strlen(agent);

	if (user == NULL || !is_agent(agent))
		return err_set(err, ERR_INVALID, "no user, or no such agent");
	put_hash(user, out);
	out[HASH_CHARS] = '/';
	memcpy(out + HASH_CHARS + 1, agent, n + 1);
	return 0;
}

/* The directory at KEY or KEY/files; made, with those above it, if make. */
static int
dir_open(int root, const char *key, const char *sub, int make, struct err *err)
{
	char path[HASH_CHARS + AGENT_MAX + 32];
	const char *name;
	int parent, fd;

	snprintf(
	    path, sizeof(path), "%s%s%s", key, *sub == '\0' ? "" : "/", sub);
	parent = path_open_parent(root, path, make, &name, err);
	if (parent < 0)
		return -1;
	if (make && mkdirat(parent, name, PATH_DIR_MODE) < 0 && errno != EEXIST)
		fd = path_error("the workspace", errno, err);
	else
		fd = path_open(parent, name, O_RDONLY | O_DIRECTORY, err);
	close(parent);
	return fd;
}

/* ---- all of them ---- */

struct workspaces *
workspaces_open(const struct conf *c, struct err *err)
{
	struct workspaces *w;
	int fd;

	if (mkdir(c->sandbox_workspaces, 0700) < 0 && errno != EEXIST) {
		err_set(err, ERR_CONFIG, "sandbox.workspaces: %s: %s",
		    c->sandbox_workspaces, strerror(errno));
		return NULL;
	}
	fd = open(c->sandbox_workspaces, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || faccessat(fd, ".", W_OK, AT_EACCESS) < 0) {
		err_set(err, ERR_CONFIG, "sandbox.workspaces: %s: %s",
		    c->sandbox_workspaces, strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	w->conf = c;
	w->root = fd;
	lck_init(&w->lck, LCK_WORKSPACES);
	lck_cond_init(&w->left);
	return w;
}

static void
entry_free(struct workspaces *w, struct workspace_entry *e)
{
	HASH_DEL(w->entries, e);
	seen_free(&e->seen);
	free(e);
}

void
workspaces_close(struct workspaces **w_p)
{
	struct workspaces *w = *w_p;
	struct workspace_entry *e, *tmp;

	if (w == NULL)
		return;
	*w_p = NULL;
	HASH_ITER(hh, w->entries, e, tmp)
	entry_free(w, e);
	lck_cond_fini(&w->left);
	lck_fini(&w->lck);
	close(w->root);
	free(w);
}

/* ---- entering and leaving ---- */

/* With the lock: the entry of a key, new if need be, as the last one used. */
static struct workspace_entry *
entry_use(struct workspaces *w, const char *key)
{
	struct workspace_entry *e;

	HASH_FIND_STR(w->entries, key, e);
	if (e != NULL) {
		HASH_DEL(w->entries, e);
	} else {
		e = calloc(1, sizeof(*e));
		if (e == NULL)
			abort();
		snprintf(e->key, sizeof(e->key), "%s", key);
	}
	HASH_ADD_STR(w->entries, key, e);
	e->users++;
	return e;
}

static void
entry_enter(struct workspaces *w, const char *key, struct workspace *ws)
{
	struct workspace_entry *e;

	lck_take(&w->lck);
	e = ws->entry = entry_use(w, key);
	while (e->writer || (ws->exclusive && e->readers > 0))
		lck_cond_wait(&w->left, &w->lck, clk_mono_ms() + WAIT_MS);
	if (ws->exclusive)
		e->writer = 1;
	else
		e->readers++;
	lck_drop(&w->lck);
}

static void
forget_idle(struct workspaces *w)
{
	struct workspace_entry *e, *tmp;
	unsigned n = HASH_COUNT(w->entries);

	HASH_ITER(hh, w->entries, e, tmp)
	{
		if (n <= IDLE_MAX)
			return;
		if (e->users == 0) {
			entry_free(w, e);
			n--;
		}
	}
}

static void
entry_leave(struct workspaces *w, struct workspace *ws, int forget)
{
	struct workspace_entry *e = ws->entry;

	lck_take(&w->lck);
	if (ws->exclusive)
		e->writer = 0;
	else
		e->readers--;
	e->users--;
	if (forget)
		e->known_until_ms = 0;
	if (forget)
		seen_free(&e->seen);
	forget_idle(w);
	lck_cond_broadcast(&w->left);
	lck_drop(&w->lck);
}

int
workspace_enter(struct workspaces *w, const char *user, const char *agent,
    int flags, struct workspace *ws, struct err *err)
{
	char key[sizeof(ws->entry->key)];

	if (workspace_name(user, agent, key, err) < 0)
		return -1;
	ws->conf = w->conf;
	ws->base = w->root;
	ws->exclusive = (flags & WORKSPACE_ALONE) != 0;
	entry_enter(w, key, ws);
	if (ws->entry->deleted) {
		entry_leave(w, ws, 0);
		return err_set(err, ERR_NOT_FOUND, "the agent was deleted");
	}
	ws->root = dir_open(w->root, key, "files", flags & WORKSPACE_MAKE, err);
	if (ws->root >= 0 && ws->exclusive && ws->entry->seen == NULL)
		ws->entry->seen = seen_open(w->root, key);
	if (ws->root >= 0) {
		if ((flags & WORKSPACE_LOOK) == 0) /* it is in use */
			utimensat(w->root, key, NULL, 0);
		return 0;
	}
	if (err != NULL && err->code == ERR_NOT_FOUND)
		err_set(err, ERR_NOT_FOUND, "the agent has no files yet");
	entry_leave(w, ws, 0);
	return -1;
}

void
workspace_leave(struct workspaces *w, struct workspace *ws)
{
	close(ws->root);
	entry_leave(w, ws, 0);
}

/* ---- deleting and copying ---- */

static int
delete_locked(struct workspaces *w, const char *key, struct err *err)
{
	struct err why = { 0 };
	int fd = dir_open(w->root, key, "", 0, &why), rc;

	if (fd < 0 && why.code == ERR_NOT_FOUND)
		return 0;
	if (fd < 0)
		return err_set(err, why.code, "%s", why.text);
	jobs_end_all(fd);
	rc = tree_remove(fd, err);
	close(fd);
	if (rc == 0 && unlinkat(w->root, key, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT)
		rc = path_error("the workspace", errno, err);
	return rc;
}

int
workspace_delete(
    struct workspaces *w, const char *user, const char *agent, struct err *err)
{
	struct workspace ws = { .exclusive = 1 };
	char key[sizeof(ws.entry->key)];
	int rc;

	if (workspace_name(user, agent, key, err) < 0)
		return -1;
	entry_enter(w, key, &ws);
	rc = delete_locked(w, key, err);
	if (rc == 0)
		ws.entry->deleted = 1;
	entry_leave(w, &ws, 1);
	return rc;
}

/* The first name in the user's directory that an agent can have: 1, 0 or -1. */
static int
find_agent(struct workspaces *w, const char *home, char *agent, struct err *err)
{
	int fd = path_open(w->root, home, O_RDONLY | O_DIRECTORY, err);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e = NULL;

	if (fd < 0)
		return -1;
	if (d == NULL) {
		close(fd);
		return path_error("the user's workspaces", errno, err);
	}
	while ((e = readdir(d)) != NULL && !is_agent(e->d_name))
		;
	if (e != NULL)
		memcpy(agent, e->d_name, strlen(e->d_name) + 1);
	closedir(d);
	return e != NULL;
}

int
workspace_any(
    struct workspaces *w, const char *user, char *agent, struct err *err)
{
	char home[HASH_CHARS + 1] = "";
	int rc;

	if (user == NULL || *user == '\0')
		return err_set(err, ERR_INVALID, "no user");
	put_hash(user, home);
	if (unlinkat(w->root, home, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return path_error("the user's workspaces", errno, err);
	rc = find_agent(w, home, agent, err);
	if (rc == 0 && unlinkat(w->root, home, AT_REMOVEDIR) < 0)
		rc = path_error(
		    "what is among the user's workspaces", errno, err);
	return rc;
}

int
workspace_copy(struct workspaces *w, const char *user, const char *from,
    const char *to, struct err *err)
{
	struct workspace in, out;
	struct err why = { 0 };
	int rc;

	if (workspace_enter(w, user, from, 0, &in, &why) < 0) {
		if (why.code == ERR_NOT_FOUND)
			return 0;
		*err = why;
		return -1;
	}
	rc = workspace_enter(
	    w, user, to, WORKSPACE_MAKE | WORKSPACE_ALONE, &out, err);
	if (rc == 0) {
		rc = tree_copy(in.root, out.root, err);
		workspace_leave(w, &out);
	}
	workspace_leave(w, &in);
	if (rc < 0)
		workspace_delete(w, user, to, NULL);
	return rc;
}

/* ---- one that was saved ---- */

#define INCOMING "incoming" /* beside the files, until it is whole */

int
workspace_is_missing(struct workspaces *w, const char *user, const char *agent)
{
	struct workspace_entry *e;
	struct err why = { 0 };
	char key[WORKSPACE_KEY_SIZE];
	int fd, deleted;

	if (workspace_name(user, agent, key, &why) < 0)
		return 0;
	lck_take(&w->lck);
	HASH_FIND_STR(w->entries, key, e);
	deleted = e != NULL && e->deleted;
	lck_drop(&w->lck);
	if (deleted)
		return 0;
	fd = dir_open(w->root, key, "files", 0, &why);
	if (fd >= 0)
		close(fd);
	return fd < 0 && why.code == ERR_NOT_FOUND;
}

/* Makes the directory of what comes, without what an attempt before has left
 * there. */
static int
incoming_open(struct workspaces *w, const char *key, struct err *err)
{
	int fd = dir_open(w->root, key, INCOMING, 1, err);

	if (fd >= 0 && tree_remove(fd, err) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int
install_locked(struct workspaces *w, const char *key,
    int (*fill)(void *ctx, int dir, struct err *err), void *ctx,
    struct err *err)
{
	int dir, fd = dir_open(w->root, key, "files", 0, NULL), rc;

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	fd = incoming_open(w, key, err);
	if (fd < 0)
		return -1;
	rc = fill(ctx, fd, err);
	if (rc < 0)
		tree_remove(fd, NULL);
	close(fd);
	dir = rc < 0 ? -1 : dir_open(w->root, key, "", 0, err);
	if (dir < 0)
		return -1;
	if (renameat(dir, INCOMING, dir, "files") < 0 || fsync(dir) < 0)
		rc = path_error("the workspace", errno, err);
	close(dir);
	return rc < 0 ? -1 : 1;
}

int
workspace_install(struct workspaces *w, const char *user, const char *agent,
    int (*fill)(void *ctx, int dir, struct err *err), void *ctx,
    struct err *err)
{
	struct workspace ws = { .exclusive = 1 };
	char key[WORKSPACE_KEY_SIZE];
	int rc;

	if (workspace_name(user, agent, key, err) < 0)
		return -1;
	entry_enter(w, key, &ws);
	if (ws.entry->deleted)
		rc = err_set(err, ERR_NOT_FOUND, "the agent was deleted");
	else
		rc = install_locked(w, key, fill, ctx, err);
	entry_leave(w, &ws, 1);
	return rc;
}

/* ---- how much there is ---- */

int
workspace_usage(struct workspace *ws, struct usage *out, struct err *err)
{
	struct workspace_entry *e = ws->entry;

	if (ws->exclusive && e->known_until_ms > clk_mono_ms()) {
		*out = e->usage;
		return 0;
	}
	if (tree_usage(ws->root, out, err) < 0)
		return -1;
	if (ws->exclusive) {
		e->usage = *out;
		e->known_until_ms = clk_mono_ms() + KNOWN_MS;
	}
	return 0;
}

int
workspace_room(
    struct workspace *ws, int64_t bytes, int64_t files, struct err *err)
{
	const struct conf *c = ws->conf;
	struct usage u;

	if (workspace_usage(ws, &u, err) < 0)
		return -1;
	if (bytes > 0 && u.bytes + bytes > c->sandbox_quota_bytes)
		return err_limit(err, ERR_LIMIT, "sandbox.quota",
		    "the workspace would have more than %" PRId64
		    " bytes; delete what is not needed",
		    c->sandbox_quota_bytes);
	if (files > 0 && u.files + files > c->sandbox_max_files)
		return err_limit(err, ERR_LIMIT, "sandbox.max_files",
		    "the workspace would have more than %" PRId64
		    " files and directories; delete what is not needed",
		    c->sandbox_max_files);
	return 0;
}

int
usage_is_over(const struct conf *c, const struct usage *u)
{
	return u->bytes > c->sandbox_quota_bytes ||
	       u->files > c->sandbox_max_files;
}

int
workspace_is_over(struct workspace *ws)
{
	struct usage u;

	return workspace_usage(ws, &u, NULL) == 0 &&
	       usage_is_over(ws->conf, &u);
}

void
workspace_count(struct workspace *ws, int64_t bytes, int64_t files)
{
	ws->entry->usage.bytes += bytes;
	ws->entry->usage.files += files;
}

void
workspace_forget(struct workspace *ws)
{
	ws->entry->known_until_ms = 0;
}

void
workspace_saw(struct workspace *ws, const char *path, const struct stat *st)
{
	seen_put(ws->entry->seen, path, st);
}

int
workspace_changed(struct workspace *ws, const char *path, const struct stat *st)
{
	return seen_differs(ws->entry->seen, path, st);
}

int
workspace_has_seen(struct workspace *ws, const char *path)
{
	return seen_has(ws->entry->seen, path);
}

void
workspace_path(const struct workspace *ws, struct buf *out)
{
	buf_printf(
	    out, "%s/%s/files", ws->conf->sandbox_workspaces, ws->entry->key);
}

const char *
workspace_key(const struct workspace *ws)
{
	return ws->entry->key;
}

int
workspace_base(const struct workspace *ws)
{
	return ws->base;
}
