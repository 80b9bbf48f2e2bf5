/* SPDX-License-Identifier: MIT */
/*
 * ws.restore: a workspace out of files that somebody has saved, whole or not at
 * all, and never in the place of one that is there. So whoever asks twice, or
 * beside somebody else, does no harm.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "conf/conf.h"
#include "sandboxd/job.h"
#include "sandboxd/path.h"

static int
write_bytes(int fd, const char *p, size_t len)
{
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n) {
		n = write(fd, p, len);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n < 0)
			n = 0;
	}
	return 0;
}

static int
put_file(int root, const char *path, int mode, const char *p, size_t len,
    struct err *err)
{
	const char *name;
	int dir = path_open_parent(root, path, 1, &name, err), fd, rc;

	if (dir < 0)
		return -1;
	fd = openat(dir, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	rc = fd < 0 ? -1 : write_bytes(fd, p, len);
	if (rc == 0)
		rc = fchmod(fd, (mode_t)((mode & 0777) | 0600));
	if (rc < 0)
		path_error(path, errno, err);
	if (fd >= 0)
		close(fd);
	close(dir);
	return rc;
}

/* All of them below root; the data has one behind the other. */
static int
fill(void *ctx, int root, struct err *err)
{
	struct job *j = ctx;
	const struct json *f = json_first(json_get(j->rq, "files"));
	size_t at = 0;

	for (; f != NULL; f = json_next(f)) {
		const char *path =
		    path_relative(j->arena, json_get_str(f, "path"), err);
		int64_t size = -1, mode = 0;

		if (path == NULL)
			return -1;
		json_get_int(f, "size", &size);
		json_get_int(f, "mode", &mode);
		if (size < 0 || (uint64_t)size > j->data_len - at)
			return err_set(err, ERR_INVALID,
			    "%s: its size is not that of the data", path);
		if (put_file(root, path, (int)mode, j->data + at, (size_t)size,
			err) < 0)
			return -1;
		at += (size_t)size;
	}
	if (at != j->data_len)
		return err_set(
		    err, ERR_INVALID, "there is more data than files have");
	if (syncfs(root) < 0)
		return path_error("the workspace", errno, err);
	return 0;
}

int
ws_restore(struct job *j, struct err *err)
{
	const struct json *files = json_get(j->rq, "files");
	int rc;

	if (!json_is(files, JSON_ARRAY))
		return err_set(err, ERR_INVALID, "files is not a list");
	if ((int64_t)json_count(files) > j->conf->sandbox_max_files)
		return err_limit(err, ERR_LIMIT, "sandbox.max_files",
		    "the workspace would have more than %" PRId64 " files",
		    j->conf->sandbox_max_files);
	if ((int64_t)j->data_len > j->conf->sandbox_quota_bytes)
		return err_limit(err, ERR_LIMIT, "sandbox.quota",
		    "the workspace would have more than %" PRId64 " bytes",
		    j->conf->sandbox_quota_bytes);
	rc = workspace_install(j->workspaces, j->user, j->agent, fill, j, err);
	if (rc < 0)
		return -1;
	json_add_bool(&j->answer, "restored", rc);
	return 0;
}
