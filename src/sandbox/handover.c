/* SPDX-License-Identifier: MIT */
/* A descriptor from one process to another: see unix(7), SCM_RIGHTS. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "sandbox/handover.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int
handover_give(int socket, int fd)
{
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	union control control = { .bytes = { 0 } };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(socket, &m, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

int
handover_take(int socket, int *fd_r)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	union control control;
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c;
	ssize_t n;

	do {
		n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
	if (c == NULL || c->cmsg_level != SOL_SOCKET ||
	    c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(*fd_r)))
		return -1;
	memcpy(fd_r, CMSG_DATA(c), sizeof(*fd_r));
	return 0;
}
