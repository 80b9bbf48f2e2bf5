/* SPDX-License-Identifier: MIT */
/*
 * Request threads: wait for a connection, let libfcgi read the request, serve
 * it, again.
 *
 * libfcgi's own example holds a mutex across FCGX_Accept_r, which reads the
 * parameters too: one slow peer would stall every thread. Here the listening
 * socket does not block, each thread waits in an epoll of its own, and
 * EPOLLEXCLUSIVE wakes one of them for a connection instead of all. Only who
 * finds nobody there (EAGAIN) waits again, so a crowd is served without a
 * wake for each.
 *
 * A thread that is to stop looks once more before it leaves: a connection may
 * have waked it and nobody else, in this process or in another.
 *
 * An idle connection that nginx keeps would pin a thread in read(2), so none
 * is kept, whatever nginx asks for.
 */
#include "config.h"

#include <errno.h>
#include <fcgiapp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/log.h"
#include "http/accept.h"

#define NO_FDS_PAUSE_MS 20

struct acceptor {
	accept_f *serve;
	void *ctx;
	int listen_fd;
	int stop_fd;
	int stopping;
	int count;
	pthread_t *threads;
};

/*
 * Puts a thread at the end of the queue of those that a connection may wake.
 * The kernel wakes the first that waits, in the order of being added: without
 * this the first worker's threads would get nearly everything.
 */
static void
queue_up(struct acceptor *ac, int epoll_fd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE,
		.data.fd = ac->listen_fd };

	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, ac->listen_fd, NULL);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ac->listen_fd, &ev) < 0)
		abort();
}

/* Waits until somebody may be there, or the process stops. */
static void
wait_connection(struct acceptor *ac, int epoll_fd)
{
	struct epoll_event ev;
	int n;

	queue_up(ac, epoll_fd);
	do
		n = epoll_wait(epoll_fd, &ev, 1, -1);
	while (n < 0 && errno == EINTR);
}

static int
epoll_open(struct acceptor *ac)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = ac->stop_fd };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, ac->stop_fd, &ev) < 0)
		abort();
	return fd;
}

/* An error of FCGX_Accept_r is a negated errno. None ends the thread. */
static void
accept_failed(int rc)
{
	struct timespec pause = { 0, NO_FDS_PAUSE_MS * 1000000L };

	if (rc == -EINTR || rc == -ECONNABORTED)
		return;
	if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM)
		log_warn("no descriptor for a connection; it waits");
	else
		log_debug("a connection was not understood: %s", strerror(-rc));
	nanosleep(&pause, NULL);
}

static void *
request_thread(void *arg)
{
	struct acceptor *ac = arg;
	int epoll_fd = epoll_open(ac), stopping, rc;
	FCGX_Request rq;

	prctl(PR_SET_NAME, "fpm-request");
	if (FCGX_InitRequest(&rq, ac->listen_fd, FCGI_FAIL_ACCEPT_ON_INTR) != 0)
		abort();
	do {
		stopping = __atomic_load_n(&ac->stopping, __ATOMIC_ACQUIRE);
		rc = FCGX_Accept_r(&rq);
		if (rc == -EAGAIN && !stopping)
			wait_connection(ac, epoll_fd);
		else if (rc < 0 && !stopping)
			accept_failed(rc);
		if (rc < 0)
			continue;
		rq.keepConnection = 0;
		ac->serve(ac->ctx, &rq);
		FCGX_Finish_r(&rq);
	} while (!stopping);
	FCGX_Free(&rq, 1);
	close(epoll_fd);
	return NULL;
}

struct acceptor *
acceptor_start(int listen_fd, int count, accept_f *serve, void *ctx)
{
	struct acceptor *ac = calloc(1, sizeof(*ac));

	if (ac == NULL)
		abort();
	ac->serve = serve;
	ac->ctx = ctx;
	ac->listen_fd = listen_fd;
	ac->count = count;
	ac->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ac->threads = calloc((size_t)count, sizeof(*ac->threads));
	if (ac->stop_fd < 0 || ac->threads == NULL || FCGX_Init() != 0)
		abort();
	for (int i = 0; i < count; i++)
		if (pthread_create(&ac->threads[i], NULL, request_thread, ac) !=
		    0)
			abort();
	return ac;
}

void
acceptor_stop(struct acceptor **ac_p)
{
	struct acceptor *ac = *ac_p;
	uint64_t one = 1;

	if (ac == NULL)
		return;
	*ac_p = NULL;
	__atomic_store_n(&ac->stopping, 1, __ATOMIC_RELEASE);
	if (write(ac->stop_fd, &one, sizeof(one)) != sizeof(one))
		abort();
	for (int i = 0; i < ac->count; i++)
		pthread_join(ac->threads[i], NULL);
	close(ac->stop_fd);
	free(ac->threads);
	free(ac);
}
