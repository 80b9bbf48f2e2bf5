/* SPDX-License-Identifier: MIT */
/*
 * sd_notify(3), without libsystemd: its protocol is one datagram, and a
 * library more in the process that must not die would cost more than it
 * saves. The socket's name may begin with @, for the abstract namespace.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/notify.h"

#define TEXT_MAX 512

static struct {
	struct sockaddr_un sa;
	socklen_t sa_len; /* 0: nobody listens */
	char name[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int64_t watchdog_us;
} to;

static void
take_socket(const char *name)
{
	size_t n = strlen(name);

	if (n < 2 || n >= sizeof(to.name) || (*name != '/' && *name != '@')) {
		log_warn("NOTIFY_SOCKET is no address of a unix socket");
		return;
	}
	memcpy(to.name, name, n + 1);
	to.sa.sun_family = AF_UNIX;
	memcpy(to.sa.sun_path, name, n);
	if (*name == '@')
		to.sa.sun_path[0] = '\0';
	to.sa_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

void
notify_init(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	const char *usec = getenv("WATCHDOG_USEC"),
		   *pid = getenv("WATCHDOG_PID");

	if (name != NULL && *name != '\0')
		take_socket(name);
	if (usec != NULL && (pid == NULL || atol(pid) == (long)getpid()))
		to.watchdog_us = atoll(usec);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void
notify_export(int on)
{
	char usec[32];

	if (!on) {
		unsetenv("NOTIFY_SOCKET");
		unsetenv("WATCHDOG_USEC");
		return;
	}
	if (to.sa_len > 0)
		setenv("NOTIFY_SOCKET", to.name, 1);
	snprintf(usec, sizeof(usec), "%lld", (long long)to.watchdog_us);
	if (to.watchdog_us > 0)
		setenv("WATCHDOG_USEC", usec, 1);
}

void
notify_send(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;
	int n, fd;

	if (to.sa_len == 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof(text))
		abort();
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || sendto(fd, text, (size_t)n, MSG_NOSIGNAL,
			  (const struct sockaddr *)&to.sa, to.sa_len) < 0)
		log_debug("telling the service manager: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

int64_t
notify_watchdog_ms(void)
{
	return to.watchdog_us / 1000;
}
