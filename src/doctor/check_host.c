/* SPDX-License-Identifier: MIT */
/* Libraries, the listening socket, descriptors. */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "doctor/doctor_priv.h"
#include "net/fetch.h"
#include "store/redis.h"
#include "tool/skill_read.h"

/* Files, connections to the model and to hooks, pipes: what no setting
 * bounds. */
#define OTHER_FILES 512

#define MIB (1024 * 1024)
#define DISK_WARN_BYTES (512 * UINT64_C(1048576))
#define DISK_FAIL_BYTES (16 * UINT64_C(1048576))

void
check_libraries(struct doctor *d)
{
	int http2 = fetch_has_http2();

	doctor_say(d, http2 ? DOCTOR_OK : DOCTOR_WARN, "libraries",
	    "agent-fpm %s, %s, %s, %s, %s, %s, %s%s", PACKAGE_VERSION,
	    fetch_library(), OpenSSL_version(OPENSSL_VERSION), loop_library(),
	    redis_library(), json_library(), skill_library(),
	    http2 ? ""
		  : "; this libcurl has no HTTP/2, so each call of the model "
		    "takes a connection");
}

/* ---- listen ---- */

/* 1 somebody serves it, 0 nobody, -1 this user may not find out. */
static int
is_served(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = 0;

	memcpy(sa.sun_path, path, strnlen(path, sizeof(sa.sun_path) - 1));
	if (fd >= 0 &&
	    connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		rc = 1;
	else if (errno == EACCES)
		rc = -1;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Who it would belong to. 0, or -1: it was said. */
static int
check_owner(struct doctor *d)
{
	const struct conf *c = d->conf;

	if (*c->listen_owner != '\0' && getpwnam(c->listen_owner) == NULL)
		doctor_say(d, DOCTOR_FAIL, "listen.owner",
		    "there is no user %s on this host", c->listen_owner);
	else if (*c->listen_group != '\0' && getgrnam(c->listen_group) == NULL)
		doctor_say(d, DOCTOR_FAIL, "listen.group",
		    "there is no group %s on this host", c->listen_group);
	else
		return 0;
	return -1;
}

static void
check_folder(struct doctor *d, const char *dir, const struct stat *st)
{
	if (!S_ISDIR(st->st_mode))
		doctor_say(d, DOCTOR_FAIL, "listen.folder",
		    "%s is no directory: choose another path for listen", dir);
	else if ((st->st_mode & S_IWOTH) && !(st->st_mode & S_ISVTX))
		doctor_say(d, DOCTOR_FAIL, "listen.folder",
		    "%s is writable by everybody, who could put a socket of "
		    "their own there: chmod o-w",
		    dir);
	else if ((st->st_mode & (S_IXGRP | S_IXOTH)) == 0)
		doctor_say(d, DOCTOR_WARN, "listen.folder",
		    "%s is closed to all but its owner: nginx reaches the "
		    "socket only if it runs as the same user, or as root",
		    dir);
	else
		doctor_say(d, DOCTOR_OK, "listen.folder", "%s, mode %04o", dir,
		    (unsigned)st->st_mode & 07777);
}

static void
check_socket(struct doctor *d, const char *dir)
{
	const char *path = d->conf->listen;
	mode_t want = (mode_t)d->conf->listen_mode, mode = want;
	struct stat st;
	int served = is_served(path);

	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
		doctor_say(d, DOCTOR_FAIL, "listen",
		    "%s is there and is no socket: remove it, or choose "
		    "another path",
		    path);
		return;
	}
	if (served < 0) {
		doctor_say(d, DOCTOR_WARN, "listen",
		    "%s is there, and this user may not connect to it: run the "
		    "doctor as the user of the pool",
		    path);
		return;
	}
	if (served && stat(path, &st) == 0)
		mode = st.st_mode & 0777;
	if (!served && access(dir, W_OK | X_OK) < 0)
		doctor_say(d, DOCTOR_FAIL, "listen",
		    "no pool serves %s, and this user cannot make a socket in "
		    "%s (%s): run the doctor as the user of the pool, or open "
		    "the folder to it",
		    path, dir, strerror(errno));
	else if (mode & S_IWOTH)
		doctor_say(d, DOCTOR_WARN, "listen",
		    "%s, mode %04o: every user of this host is trusted like "
		    "nginx; set listen.mode = 0660 and listen.group",
		    path, (unsigned)mode);
	else
		doctor_say(d, DOCTOR_OK, "listen", "%s, mode %04o; %s", path,
		    (unsigned)mode,
		    served ? "a pool serves it" : "no pool runs");
}

void
check_listen(struct doctor *d)
{
	const char *slash = strrchr(d->conf->listen, '/');
	size_t len = (size_t)(slash - d->conf->listen);
	char *dir = arena_memdup(d->arena, d->conf->listen, len > 0 ? len : 1);
	struct stat st;

	if (check_owner(d) < 0)
		return;
	if (stat(dir, &st) < 0) {
		doctor_say(d, DOCTOR_FAIL, "listen.folder",
		    "%s: %s: make it, for the pool's user to write to; the "
		    "unit that is shipped does",
		    dir, strerror(errno));
		return;
	}
	check_folder(d, dir, &st);
	check_socket(d, dir);
}

/* ---- descriptors ---- */

void
check_descriptors(struct doctor *d)
{
	const struct conf *c = d->conf;
	int64_t want = c->limits_viewers + c->limits_turns +
		       c->store_connections + c->request_threads + OTHER_FILES;
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0) {
		doctor_say(
		    d, DOCTOR_WARN, "descriptors", "%s", strerror(errno));
		return;
	}
	if (rl.rlim_max != RLIM_INFINITY && (int64_t)rl.rlim_max < want)
		doctor_say(d, DOCTOR_WARN, "descriptors",
		    "a process started from here may have %" PRIu64
		    ", the settings allow for %" PRId64
		    ": raise LimitNOFILE of the unit (ulimit -Hn of a shell), "
		    "or lower limits.viewers",
		    (uint64_t)rl.rlim_max, want);
	else
		doctor_say(d, DOCTOR_OK, "descriptors",
		    "a worker may need %" PRId64 " and may have as many", want);
}

/* ---- disks ---- */

/* Of the folder of a file that grows. */
static void
check_disk(struct doctor *d, const char *setting, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL || slash == path
			? arena_strdup(d->arena, "/")
			: arena_memdup(d->arena, path, (size_t)(slash - path));
	struct statvfs fs;
	uint64_t free_bytes, bytes;
	enum verdict v = DOCTOR_OK;

	if (statvfs(dir, &fs) < 0) {
		doctor_say(
		    d, DOCTOR_FAIL, setting, "%s: %s", dir, strerror(errno));
		return;
	}
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
	if (free_bytes < DISK_WARN_BYTES || free_bytes < bytes / 20)
		v = DOCTOR_WARN;
	if (free_bytes < DISK_FAIL_BYTES)
		v = DOCTOR_FAIL;
	doctor_say(d, v, setting,
	    "%" PRIu64 " of %" PRIu64 " MiB are free in %s%s", free_bytes / MIB,
	    bytes / MIB, dir,
	    v == DOCTOR_OK ? "" : ": make room, or let logrotate do so sooner");
}

void
check_disks(struct doctor *d)
{
	const struct conf *c = d->conf;

	if (*c->log_file != '\0')
		check_disk(d, "log.disk", c->log_file);
	if (*c->slowlog_file != '\0')
		check_disk(d, "slowlog.disk", c->slowlog_file);
	if (*c->audit_file != '\0')
		check_disk(d, "audit.disk", c->audit_file);
}
