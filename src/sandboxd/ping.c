/* SPDX-License-Identifier: MIT */
/*
 * What the sandbox says of itself, for whoever looks after the host: whether
 * commands can be run here and if not why, what holds them, and how much room
 * there is.
 */
#include "config.h"

#include <sys/statvfs.h>

#include "base/json.h"
#include "conf/conf.h"
#include "sandboxd/job.h"
#include "sandboxd/launch.h"

static void
add_disk(struct buf *b, const char *path)
{
	struct statvfs fs;

	if (statvfs(path, &fs) < 0)
		return;
	json_add_int(b, "freeBytes", (int64_t)(fs.f_bavail * fs.f_frsize));
	json_add_int(b, "totalBytes", (int64_t)(fs.f_blocks * fs.f_frsize));
	json_add_int(b, "freeFiles", (int64_t)fs.f_favail);
	json_add_int(b, "totalFiles", (int64_t)fs.f_files);
}

int
ping(struct job *j, struct err *err)
{
	struct buf *b = &j->answer;

	(void)err;
	json_add_str(b, "version", PACKAGE_VERSION);
	json_add_bool(b, "commands", j->launcher != NULL);
	if (j->launcher == NULL)
		json_add_str(b, "reason", j->no_launcher);
	launch_describe(j->conf, j->launcher, b);
	add_disk(b, j->conf->sandbox_workspaces);
	return 0;
}
