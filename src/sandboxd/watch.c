/* SPDX-License-Identifier: MIT */
/* A command from its start to its end. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/err.h"
#include "sandboxd/launch.h"
#include "sandboxd/watch.h"

#define LOOK_EVERY_MS 500 /* at the size of the workspace */
#define READ_BYTES 65536

const char *
run_end_name(enum run_end end)
{
	static const char *const names[] = {
		[RUN_GOES_ON] = "ended",
		[RUN_TIMED_OUT] = "timeout",
		[RUN_CANCELLED] = "cancelled",
		[RUN_DELETED] = "deleted",
		[RUN_QUOTA] = "quota",
		[RUN_FLOOD] = "output",
	};

	return names[end];
}

/* 0 there may be more, -1 that was all. */
static int
read_output(struct watch *w)
{
	char chunk[READ_BYTES];
	ssize_t n = read(w->out_fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	w->printed += (size_t)n;
	w->output(w->ctx, chunk, (size_t)n);
	if (w->flood_bytes > 0 && w->printed > w->flood_bytes)
		run_end_set(w->run, RUN_FLOOD);
	return 0;
}

static void
look(struct watch *w, int64_t now)
{
	if (now >= w->deadline_ms)
		run_end_set(w->run, RUN_TIMED_OUT);
	if (now < w->look_ms)
		return;
	if (w->is_over(w->ctx))
		run_end_set(w->run, RUN_QUOTA);
	w->look_ms = clk_mono_ms() + LOOK_EVERY_MS;
}

static void
wait_for_end(struct watch *w)
{
	struct pollfd p[3] = { { .fd = w->out_fd, .events = POLLIN },
		{ .fd = w->pid_fd, .events = POLLIN },
		{ .fd = w->run->wake_fd, .events = POLLIN } };
	int64_t now, next;

	while (p[1].revents == 0 && run_end_of(w->run) == RUN_GOES_ON) {
		now = clk_mono_ms();
		next =
		    w->deadline_ms < w->look_ms ? w->deadline_ms : w->look_ms;
		if (poll(p, 3, next > now ? (int)(next - now) : 0) < 0 &&
		    errno != EINTR)
			break;
		if (p[0].revents != 0 && read_output(w) < 0)
			p[0].fd = -1;
		look(w, clk_mono_ms());
	}
}

/* Its first process is the last to go: all others die with it. */
static void
end_all(struct watch *w)
{
	kill(-w->pid, SIGKILL);
	kill(w->pid, SIGKILL);
	while (waitpid(w->pid, &w->status, 0) < 0 && errno == EINTR)
		;
	fcntl(w->out_fd, F_SETFL, O_NONBLOCK);
	while (w->printed <= WATCH_FLOOD_BYTES) {
		size_t before = w->printed;

		if (read_output(w) < 0 || w->printed == before)
			break;
	}
}

int
watch_start(struct watch *w, struct launcher *l, const char *workspace,
    const char *command, struct err *err)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_set(
		    err, ERR_INTERNAL, "no pipe: %s", strerror(errno));
	w->out_fd = fd[0];
	w->pid = launch(l, workspace, command, fd[1], err);
	close(fd[1]);
	w->pid_fd = w->pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, w->pid, 0);
	w->look_ms = clk_mono_ms() + LOOK_EVERY_MS;
	if (w->pid_fd >= 0)
		return 0;
	if (w->pid > 0) {
		err_set(err, ERR_INTERNAL, "pidfd_open: %s", strerror(errno));
		end_all(w);
	}
	close(fd[0]);
	return -1;
}

void
watch_until_end(struct watch *w)
{
	wait_for_end(w);
	end_all(w);
	close(w->pid_fd);
	close(w->out_fd);
}

int
watch_code(const struct watch *w)
{
	return WIFEXITED(w->status) ? WEXITSTATUS(w->status)
				    : 128 + WTERMSIG(w->status);
}
