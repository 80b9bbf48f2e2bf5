/* SPDX-License-Identifier: MIT */
/* The network of a command: see network.h. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "conf/conf.h"
#include "sandbox/frame.h"
#include "sandbox/handover.h"
#include "sandbox/hosts.h"
#include "sandboxd/network.h"

#define WAIT_S 5
#define ANSWER_BYTES 4096
#define ANSWER_DEPTH 4
#define BACKLOG 128

/* ---- asking for it ---- */

static int
proxy_connect(const char *path, struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval wait = { .tv_sec = WAIT_S };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(
		    err, ERR_CONFIG, "sandbox.proxy: the path is too long");
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
	    connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	err_set(err, ERR_INVALID,
	    "there is no network just now: agent-fpm-proxy at %s: %s", path,
	    strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
send_hosts(int fd, struct arena *a, const struct json *hosts)
{
	struct buf b, out;

	buf_init(&b, a);
	buf_init(&out, a);
	json_open(&b, NULL, '{');
	json_add_json(&b, "hosts", hosts);
	json_close(&b, '}');
	frame_write(&out, b.data, b.len, NULL, 0);
	return send(fd, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len
		   ? 0
		   : -1;
}

/* The proxy's answer; NULL: there was none. */
static const struct json *
read_answer(int fd, struct arena *a)
{
	struct frame_view f;
	struct buf in;
	ssize_t n;
	int rc;

	buf_init(&in, a);
	while ((rc = frame_read(in.data, in.len, &f, NULL)) == 0 &&
	       in.len < ANSWER_BYTES) {
		buf_reserve(&in, ANSWER_BYTES);
		n = recv(fd, in.data + in.len, ANSWER_BYTES, 0);
		if (n <= 0)
			return NULL;
		in.len += (size_t)n;
	}
	return rc > 0 ? json_parse(a, f.json, f.json_len, ANSWER_DEPTH, NULL)
		      : NULL;
}

static int
proxy_ask(int fd, const struct json *hosts, struct err *err)
{
	struct arena *a = arena_open(4096);
	const struct json *said = NULL;
	const char *why;
	int rc = 0;

	if (hosts_parse(a, hosts, err) == NULL) {
		err->code = ERR_INVALID;
		rc = -1;
	} else if (send_hosts(fd, a, hosts) == 0) {
		said = read_answer(fd, a);
	}
	if (rc == 0 && !json_get_true(said, "ok")) {
		why = json_get_str(said, "error");
		rc = err_set(err, ERR_INVALID,
		    "there is no network just now: %.300s",
		    why == NULL ? "agent-fpm-proxy does not answer" : why);
	}
	arena_close(&a);
	return rc;
}

int
network_open(
    const struct conf *c, const struct json *hosts, int *fd_r, struct err *err)
{
	*fd_r = -1;
	if (hosts == NULL ||
	    (json_is(hosts, JSON_ARRAY) && json_count(hosts) == 0))
		return 0;
	if (*c->sandbox_proxy == '\0')
		return err_set(err, ERR_INVALID,
		    "the template of this agent asks for a network, and there "
		    "is none here: sandbox.proxy is empty");
	*fd_r = proxy_connect(c->sandbox_proxy, err);
	if (*fd_r < 0)
		return -1;
	if (proxy_ask(*fd_r, hosts, err) == 0)
		return 0;
	close(*fd_r);
	*fd_r = -1;
	return -1;
}

/* ---- within ---- */

static int
listen_inside(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons(NETWORK_PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 &&
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

int
network_exec(int fd, char *const *argv)
{
	int socket = listen_inside();

	if (socket < 0) {
		fprintf(stderr, "agent-fpm-sandbox: no network: %s\n",
		    strerror(errno));
		return 125;
	}
	/* A proxy that died meanwhile is no reason not to run the command. */
	handover_give(fd, socket);
	close(socket);
	close(fd);
	execv(argv[0], argv);
	fprintf(
	    stderr, "agent-fpm-sandbox: %s: %s\n", argv[0], strerror(errno));
	return 126;
}
