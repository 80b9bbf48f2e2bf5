/* SPDX-License-Identifier: MIT */
/* Commands that a worker of the pool answers: src/worker/control.h has how. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "ctl/ctl_priv.h"
#include "master/listen.h"

#define ANSWER_S 20 /* it asks Redis, with timeouts of its own */

static int
pool_connect(const struct ctl *ctl, struct err *err)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	listener_ctl_path(ctl->conf, sa.sun_path);
	if (*sa.sun_path == '\0')
		return err_set(err, ERR_CONFIG,
		    "this pool has no socket for it: see ctl.socket");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(
		    err, ERR_INTERNAL, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	err_set(err, ERR_OVERLOAD,
	    "%s: %s; is the pool running, and are you root or its user?",
	    sa.sun_path, strerror(errno));
	close(fd);
	return -1;
}

/* All of the answer. 0, or -1: none, or it was cut. */
static int
exchange(int fd, const struct buf *line, struct buf *answer, struct err *err)
{
	char part[4096];
	ssize_t n;

	if (send(fd, line->data, line->len, MSG_NOSIGNAL) != (ssize_t)line->len)
		return err_set(
		    err, ERR_INTERNAL, "the pool: %s", strerror(errno));
	while ((n = read(fd, part, sizeof(part))) > 0)
		buf_add(answer, part, (size_t)n);
	if (n < 0)
		return err_set(err, ERR_TIMEOUT, "the pool does not answer: %s",
		    strerror(errno));
	return 0;
}

/* The error that an answer says: EXITCODE TEXT. */
static int
take_error(const char *text, struct err *err)
{
	char *why;
	long code = strtol(text, &why, 10);

	for (int i = 1; i < ERR_COUNT; i++)
		if (err_info((enum err_code)i)->exit_code == code)
			return err_set(err, (enum err_code)i, "%.*s",
			    (int)strcspn(why, "\n") - 1, why + 1);
	return err_set(err, ERR_INTERNAL, "the pool's answer makes no sense");
}

int
ctl_ask_pool(struct ctl *ctl, struct err *err)
{
	int fd = pool_connect(ctl, err), rc;
	struct buf line, answer;
	const char *text;

	if (fd < 0)
		return -1;
	buf_init(&line, NULL);
	buf_init(&answer, NULL);
	buf_printf(&line, "%s%s%s%s\n", ctl->json ? "json " : "", ctl->name,
	    ctl->argument == NULL ? "" : " ",
	    ctl->argument == NULL ? "" : ctl->argument);
	rc = exchange(fd, &line, &answer, err);
	text = buf_str(&answer);
	if (rc == 0 && strncmp(text, "ok\n", 3) == 0)
		printf("%s%s", text + 3, ctl->json ? "\n" : "");
	else if (rc == 0 && strncmp(text, "error ", 6) == 0)
		rc = take_error(text + 6, err);
	else if (rc == 0)
		rc = err_set(err, ERR_INTERNAL, "the pool's answer was cut");
	buf_fini(&line);
	buf_fini(&answer);
	close(fd);
	return rc;
}
