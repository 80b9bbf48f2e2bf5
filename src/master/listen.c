/* SPDX-License-Identifier: MIT */
/*
 * The listening socket: a unix socket, because libfcgi is no match for a
 * hostile peer; its mode is the fence around it. And that of agent-fpm ctl,
 * which workers answer: the master only makes it and hands it on.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "master/listen.h"

#define FIRST_PASSED_FD 3
#define CTL_BACKLOG 16

static int
fd_set_flags(int fd, struct err *err)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set(
		    err, ERR_INTERNAL, "listening socket: %s", strerror(errno));
	return 0;
}

static int
is_listening_unix(int fd)
{
	struct sockaddr_un sa;
	socklen_t sa_len = sizeof(sa), on_len = sizeof(int);
	int on = 0;

	return getsockname(fd, (struct sockaddr *)&sa, &sa_len) == 0 &&
	       sa.sun_family == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &on_len) == 0 &&
	       on;
}

/* Whether two paths are one file. */
static int
is_same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return strcmp(a, b) == 0 ||
	       (stat(a, &sa) == 0 && stat(b, &sb) == 0 &&
		   sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino);
}

/*
 * The socket that was passed is to be that of "listen": agent-fpm ctl, the
 * doctor and the gateway look there for the pool, and would find another one,
 * or none.
 */
static int
inherited_check(int fd, const struct conf *c, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char path[sizeof(sa.sun_path) + 1];
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return err_set(
		    err, ERR_INTERNAL, "getsockname: %s", strerror(errno));
	snprintf(
	    path, sizeof(path), "%.*s", (int)sizeof(sa.sun_path), sa.sun_path);
	if (is_same_file(path, c->listen))
		return 0;
	return err_set(err, ERR_CONFIG,
	    "the socket passed by systemd is %s, and listen is %s, where "
	    "agent-fpm ctl, the doctor and the gateway would look for this "
	    "pool; write: listen = %s",
	    path, c->listen, path);
}

/* 1 taken, 0 none was passed, -1 what was passed is no such socket. */
static int
listener_inherit(const struct conf *c, struct listener *l, struct err *err)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");

	if (pid == NULL || fds == NULL || atol(pid) != (long)getpid() ||
	    atoi(fds) < 1)
		return 0;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (!is_listening_unix(FIRST_PASSED_FD))
		return err_set(err, ERR_CONFIG,
		    "the socket passed by systemd is not a listening unix "
		    "stream socket; look at agent-fpm.socket");
	if (inherited_check(FIRST_PASSED_FD, c, err) < 0)
		return -1;
	l->fd = FIRST_PASSED_FD;
	l->inherited = 1;
	return fd_set_flags(l->fd, err) < 0 ? -1 : 1;
}

/* A socket to be made. */
struct place {
	const char *setting, *path;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	int backlog;
};

/* Removes a socket file that nobody listens on. */
static int
stale_remove(const char *setting, const struct sockaddr_un *sa, struct err *err)
{
	struct stat st;
	int fd, rc;

	if (lstat(sa->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_CONFIG,
		    "%s: %s exists and is no socket", setting, sa->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(
		    err, ERR_INTERNAL, "socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa));
	close(fd);
	if (rc == 0)
		return err_set(err, ERR_CONFIG,
		    "%s: another process serves %s; stop it or choose "
		    "another path",
		    setting, sa->sun_path);
	unlink(sa->sun_path);
	return 0;
}

static int
owner_ids(const struct conf *c, uid_t *uid_r, gid_t *gid_r, struct err *err)
{
	const struct passwd *pw;
	const struct group *gr;

	*uid_r = (uid_t)-1;
	*gid_r = (gid_t)-1;
	if (*c->listen_owner != '\0') {
		pw = getpwnam(c->listen_owner);
		if (pw == NULL)
			return err_set(err, ERR_CONFIG,
			    "listen.owner: no user %s", c->listen_owner);
		*uid_r = pw->pw_uid;
	}
	if (*c->listen_group != '\0') {
		gr = getgrnam(c->listen_group);
		if (gr == NULL)
			return err_set(err, ERR_CONFIG,
			    "listen.group: no group %s", c->listen_group);
		*gid_r = gr->gr_gid;
	}
	return 0;
}

/* Owner and mode before listen(2): nobody can connect in between. */
static int
socket_publish(int fd, const struct sockaddr_un *sa, const struct place *p,
    struct err *err)
{
	mode_t old;
	int rc;

	if (stale_remove(p->setting, sa, err) < 0)
		return -1;
	old = umask(0177);
	rc = bind(fd, (const struct sockaddr *)sa, sizeof(*sa));
	umask(old);
	if (rc < 0)
		return err_set(err, ERR_CONFIG, "%s: %s: %s", p->setting,
		    p->path, strerror(errno));
	if (((p->uid != (uid_t)-1 || p->gid != (gid_t)-1) &&
		chown(p->path, p->uid, p->gid) < 0) ||
	    chmod(p->path, p->mode) < 0 || listen(fd, p->backlog) < 0) {
		err_set(err, ERR_CONFIG, "%s: %s: %s", p->setting, p->path,
		    strerror(errno));
		unlink(p->path);
		return -1;
	}
	return 0;
}

static int
listener_bind(const struct place *p, struct listener *l, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", p->path);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return err_set(
		    err, ERR_INTERNAL, "socket: %s", strerror(errno));
	if (fd_set_flags(l->fd, err) < 0 ||
	    socket_publish(l->fd, &sa, p, err) < 0) {
		close(l->fd);
		l->fd = -1;
		return -1;
	}
	snprintf(l->path, sizeof(l->path), "%s", sa.sun_path);
	return 0;
}

int
listener_open(const struct conf *c, struct listener *l, struct err *err)
{
	struct place p = { .setting = "listen",
		.path = c->listen,
		.mode = (mode_t)c->listen_mode,
		.backlog = (int)c->listen_backlog };
	int rc;

	memset(l, 0, sizeof(*l));
	rc = listener_inherit(c, l, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (owner_ids(c, &p.uid, &p.gid, err) < 0)
		return -1;
	return listener_bind(&p, l, err);
}

void
listener_ctl_path(const struct conf *c, char path_r[108])
{
	*path_r = '\0';
	if (strcmp(c->ctl_socket, "none") == 0)
		return;
	if (*c->ctl_socket != '\0')
		snprintf(path_r, 108, "%s", c->ctl_socket);
	else if (snprintf(path_r, 108, "%s.ctl", c->listen) >= 108)
		*path_r = '\0';
}

int
listener_open_ctl(const struct conf *c, struct listener *l, struct err *err)
{
	struct place p = { .setting = "ctl.socket",
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.mode = 0600,
		.backlog = CTL_BACKLOG };
	char path[108];

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	listener_ctl_path(c, path);
	p.path = path;
	if (*path == '\0' || listener_bind(&p, l, err) == 0)
		return 0;
	if (*c->ctl_socket != '\0')
		return -1;
	log_warn("%s; the pool goes on without agent-fpm ctl", err->text);
	return 0;
}

int
listener_adopt(int fd, const char *path, struct listener *l, struct err *err)
{
	memset(l, 0, sizeof(*l));
	if (!is_listening_unix(fd) || strlen(path) >= sizeof(l->path))
		return err_set(err, ERR_USAGE,
		    "descriptor %d is no listening unix socket", fd);
	l->fd = fd;
	l->inherited = *path == '\0';
	strcpy(l->path, path);
	return fd_set_flags(fd, err);
}

void
listener_close(struct listener *l)
{
	if (l->fd < 0)
		return;
	close(l->fd);
	if (!l->inherited)
		unlink(l->path);
}
