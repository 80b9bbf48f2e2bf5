/* SPDX-License-Identifier: MIT */
/* A unix socket for few users: see gate.h. */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/gate.h"
#include "base/log.h"

#define BACKLOG 4096 /* clients that all come back at once */

static int
find_client(struct gate *l, struct err *err)
{
	const struct passwd *pw =
	    *l->client == '\0' ? NULL : getpwnam(l->client);

	l->client_uid = geteuid();
	if (*l->client != '\0' && pw == NULL)
		return err_set(err, ERR_CONFIG, "%s: there is no user %s",
		    l->client_setting, l->client);
	if (pw != NULL)
		l->client_uid = pw->pw_uid;
	return 0;
}

static int
set_group(const struct gate *l, struct err *err)
{
	const struct group *gr = *l->group == '\0' ? NULL : getgrnam(l->group);

	if (*l->group == '\0')
		return 0;
	if (gr == NULL)
		return err_set(err, ERR_CONFIG, "%s: there is no group %s",
		    l->group_setting, l->group);
	if (chown(l->path, (uid_t)-1, gr->gr_gid) < 0)
		return err_set(err, ERR_CONFIG, "%s: %s: %s", l->group_setting,
		    l->path, strerror(errno));
	return 0;
}

/* 1 if somebody answers there. */
static int
is_served(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	rc = fd >= 0 &&
	     connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
bind_there(struct gate *l, const struct sockaddr_un *sun, struct err *err)
{
	mode_t mask;
	int rc;

	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0117);
	rc = l->fd < 0
		 ? -1
		 : bind(l->fd, (const struct sockaddr *)sun, sizeof(*sun));
	umask(mask);
	if (rc == 0 && listen(l->fd, BACKLOG) == 0)
		return 0;
	return err_set(err, ERR_CONFIG, "%s: %s: %s", l->path_setting, l->path,
	    strerror(errno));
}

int
gate_open(struct gate *l, struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	l->fd = -1;
	if (find_client(l, err) < 0)
		return -1;
	if (strlen(l->path) >= sizeof(sun.sun_path))
		return err_set(err, ERR_CONFIG, "%s: the path is too long",
		    l->path_setting);
	memcpy(sun.sun_path, l->path, strlen(l->path));
	if (is_served(&sun))
		return err_set(err, ERR_CONFIG, "%s: another process serves %s",
		    l->path_setting, l->path);
	unlink(l->path);
	if (bind_there(l, &sun, err) == 0 && set_group(l, err) == 0)
		return 0;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	return -1;
}

void
gate_close(struct gate *l)
{
	if (l->fd < 0)
		return;
	unlink(l->path);
	close(l->fd);
	l->fd = -1;
}

static int
is_welcome(const struct gate *l, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return 0;
	if (peer.uid == 0 || peer.uid == geteuid() || peer.uid == l->client_uid)
		return 1;
	log_warn("user %u may not connect to %s: %s names who may",
	    (unsigned)peer.uid, l->path, l->client_setting);
	return 0;
}

int
gate_accept(const struct gate *l)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 || is_welcome(l, fd))
		return fd;
	close(fd);
	return -1;
}
