/* SPDX-License-Identifier: MIT */
/*
 * SIGUSR2: another program without a closed socket.
 *
 * The master starts what is in its own program's place by now, as a master of
 * its own with the listening socket. That one reads the configuration, starts
 * its workers on the same socket, and when all of them are ready says so over
 * a connection between the two. Then the old one ends as after SIGQUIT, but
 * leaves the socket's file alone. If the new one ends before that, or is not
 * ready in time, the old one goes on as if nothing had been.
 *
 * It is given the old one's scoreboard too, for what that has learnt: the keys
 * of issuers, who may be away just now.
 *
 * SIGHUP and SIGUSR1 that came meanwhile are the new one's too: it may have
 * read the file, and opened the log, before.
 *
 * Whenever a worker of the old one has ended, the new one hears of it, so
 * that turns which were given up are found at once.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/process.h"
#include "base/spawn.h"
#include "master/listen.h"
#include "master/upgrade.h"

#define READY_MS 60000

static int
spawn_successor(struct upgrade *u, const struct listener *l,
    const struct listener *ctl, const char *file, int fd, struct err *err)
{
	char name[] = "agent-fpm", option[] = "--successor";
	char *path = process_path(), *conf = strdup(file);
	char *socket_path = strdup(l->inherited ? "" : l->path);
	char *ctl_path = strdup(ctl->fd < 0 ? "" : ctl->path);
	char *argv[] = { name, option, conf, socket_path, ctl_path, NULL };
	struct spawn sp = {
		.path = path,
		.argv = argv,
		.fds = { l->fd, fd, ctl->fd },
		.fd_count =
		    (ctl->fd < 0 ? SUCCESSOR_FD_CTL : SUCCESSOR_FD_END) -
		    SUCCESSOR_FD_LISTEN,
	};

	notify_export(1);
	sp.env = environ;
	u->pid = spawn_start(&sp, err);
	notify_export(0);
	free(path);
	free(conf);
	free(socket_path);
	free(ctl_path);
	return u->pid < 0 ? -1 : 0;
}

/* A byte and a descriptor, unix(7). */
union board_message {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* It waits in the connection until the successor reads it. */
static void
give_board(int fd, int board_fd)
{
	char byte = 'b';
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	union board_message control = { .bytes = { 0 } };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &board_fd, sizeof(int));
	if (sendmsg(fd, &m, MSG_NOSIGNAL) != 1)
		log_warn("the new program is not told what this one knows: %s",
		    strerror(errno));
}

int
upgrade_take_board(const struct upgrade *u)
{
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	union board_message control = { .bytes = { 0 } };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	int fd;

	if (recvmsg(u->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1 ||
	    m.msg_controllen < CMSG_LEN(sizeof(int)) ||
	    control.head.cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(int));
	return fd;
}

int
upgrade_start(struct upgrade *u, const struct listener *l,
    const struct listener *ctl, const char *file, int board_fd, int64_t now_ms,
    struct err *err)
{
	int fds[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		fds) < 0)
		return err_set(
		    err, ERR_INTERNAL, "socketpair: %s", strerror(errno));
	give_board(fds[0], board_fd);
	rc = spawn_successor(u, l, ctl, file, fds[1], err);
	close(fds[1]);
	if (rc < 0) {
		close(fds[0]);
		return -1;
	}
	u->fd = fds[0];
	u->ready = 0;
	u->deadline_ms = now_ms + READY_MS;
	return 0;
}

int
upgrade_reaped(struct upgrade *u, pid_t pid, int status)
{
	if (!upgrade_is_pending(u) || pid != u->pid)
		return 0;
	log_error("upgrade: the new program ended with %s %d; this one goes on",
	    WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	u->pid = 0;
	upgrade_close(u);
	return 1;
}

void
upgrade_tick(struct upgrade *u, int64_t now_ms)
{
	if (!upgrade_is_pending(u) || now_ms < u->deadline_ms)
		return;
	log_error("upgrade: the new program is not ready in time");
	upgrade_cancel(u);
	u->deadline_ms = now_ms + READY_MS;
}

void
upgrade_cancel(struct upgrade *u)
{
	if (upgrade_is_pending(u))
		kill(u->pid, SIGKILL); /* its workers end when it is gone */
}

int
upgrade_is_pending(const struct upgrade *u)
{
	return u->pid > 0 && !u->ready;
}

int
upgrade_hear(struct upgrade *u)
{
	char byte;
	ssize_t n = read(u->fd, &byte, 1);

	if (n == 1 && !u->ready) {
		u->ready = 1;
		return 1;
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		upgrade_close(u); /* what became of it says its end */
	return 0;
}

void
upgrade_tell_look(const struct upgrade *u)
{
	if (u->fd >= 0 && send(u->fd, "l", 1, MSG_NOSIGNAL) < 0)
		log_debug("telling the new master: %s", strerror(errno));
}

void
upgrade_tell_ready(struct upgrade *u)
{
	u->ready = 1;
	if (send(u->fd, "r", 1, MSG_NOSIGNAL) < 0)
		log_warn("telling the old master: %s", strerror(errno));
}

int
upgrade_hear_look(struct upgrade *u)
{
	char bytes[64];
	ssize_t n = read(u->fd, bytes, sizeof(bytes));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		upgrade_close(u);
	return n >= 0; /* the end of the old one too */
}

void
upgrade_close(struct upgrade *u)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
}
