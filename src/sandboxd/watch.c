/* SPDX-License-Identifier: MIT */
/* A command from its start to its end. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/err.h"
#include "sandboxd/launch.h"
#include "sandboxd/orphans.h"
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
		[RUN_IDLE] = "idle",
		[RUN_MEMORY] = "memory",
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

static int
read_errors(struct watch *w)
{
	char chunk[READ_BYTES];
	ssize_t n = read(w->err_fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n > 0)
		w->errors(w->ctx, chunk, (size_t)n);
	return n == 0 ? -1 : 0;
}

/* As much as it reads now. 0, or -1: it reads no more. */
static int
write_pending(struct watch *w)
{
	ssize_t n = write(w->in_fd, w->pending.data, w->pending.len);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	buf_consume(&w->pending, (size_t)n);
	if (w->pending.len == 0)
		w->input(w->ctx, &w->pending);
	return 0;
}

/* Somebody has something for it, or wants it to end. What it has not read
 * yet comes first: who sends is told when it is too much. */
static void
on_wake(struct watch *w)
{
	eventfd_t n;

	if (w->input == NULL || run_end_of(w->run) != RUN_GOES_ON)
		return;
	eventfd_read(w->run->wake_fd, &n);
	if (w->pending.len == 0)
		w->input(w->ctx, &w->pending);
}

enum { OUT, PID, WAKE, ERRORS, IN, FDS };

static void
wait_for_end(struct watch *w)
{
	struct pollfd p[FDS] = { [OUT] = { .fd = w->out_fd, .events = POLLIN },
		[PID] = { .fd = w->pid_fd, .events = POLLIN },
		[WAKE] = { .fd = w->run->wake_fd, .events = POLLIN },
		[ERRORS] = { .fd = w->err_fd, .events = POLLIN },
		[IN] = { .events = POLLOUT } };
	int64_t now, next;

	while (p[PID].revents == 0 && run_end_of(w->run) == RUN_GOES_ON) {
		now = clk_mono_ms();
		next =
		    w->deadline_ms < w->look_ms ? w->deadline_ms : w->look_ms;
		p[IN].fd = w->pending.len > 0 ? w->in_fd : -1;
		if (poll(p, FDS, next > now ? (int)(next - now) : 0) < 0 &&
		    errno != EINTR)
			break;
		if (p[OUT].revents != 0 && read_output(w) < 0)
			p[OUT].fd = -1;
		if (p[ERRORS].revents != 0 && read_errors(w) < 0)
			p[ERRORS].fd = -1;
		if (p[WAKE].revents != 0)
			on_wake(w);
		if (p[IN].revents != 0 && write_pending(w) < 0)
			buf_clear(&w->pending);
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
	if (run_end_of(w->run) != RUN_GOES_ON)
		orphans_end();
	if (cgroup_end(w->groups, &w->group))
		run_end_set(w->run, RUN_MEMORY);
	fcntl(w->out_fd, F_SETFL, O_NONBLOCK);
	while (w->printed <= WATCH_FLOOD_BYTES) {
		size_t before = w->printed;

		if (read_output(w) < 0 || w->printed == before)
			break;
	}
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A pipe: ours does not block. 0 or -1. */
static int
make_pipe(int *ours, int *its, int it_reads)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -1;
	*ours = fd[it_reads];
	*its = fd[!it_reads];
	if (it_reads)
		fcntl(*ours, F_SETFL, O_NONBLOCK);
	return 0;
}

static int
make_pipes(struct watch *w, struct launch_io *io)
{
	w->out_fd = w->in_fd = w->err_fd = -1;
	*io = (struct launch_io){ -1, -1, -1, -1 };
	if (make_pipe(&w->out_fd, &io->out, 0) < 0)
		return -1;
	io->err = io->out;
	if (w->input != NULL && make_pipe(&w->in_fd, &io->in, 1) < 0)
		return -1;
	return w->errors == NULL ? 0 : make_pipe(&w->err_fd, &io->err, 0);
}

static void
close_pipes(struct watch *w)
{
	close_fd(&w->out_fd);
	close_fd(&w->in_fd);
	close_fd(&w->err_fd);
	buf_fini(&w->pending);
}

static void
close_its(struct launch_io *io)
{
	if (io->err != io->out)
		close_fd(&io->err);
	close_fd(&io->out);
	close_fd(&io->in);
}

int
watch_start(
    struct watch *w, struct launcher *l, const struct order *o, struct err *err)
{
	struct launch_io io;

	w->started_ms = clk_mono_ms();
	w->deadline_ms = w->started_ms + w->time_ms;
	buf_init(&w->pending, NULL);
	w->pid = -1;
	w->groups = launcher_groups(l);
	if (make_pipes(w, &io) < 0)
		err_set(err, ERR_INTERNAL, "no pipe: %s", strerror(errno));
	else if (cgroup_make(w->groups, &w->group) < 0)
		err_set(err, ERR_INTERNAL, "no control group can be made");
	else {
		io.group = w->group.procs_fd;
		w->pid = launch(l, o, &io, err);
	}
	close_its(&io);
	w->pid_fd = w->pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, w->pid, 0);
	w->look_ms = clk_mono_ms() + LOOK_EVERY_MS;
	if (w->pid_fd >= 0)
		return 0;
	if (w->pid > 0) {
		err_set(err, ERR_INTERNAL, "pidfd_open: %s", strerror(errno));
		end_all(w);
	}
	cgroup_end(w->groups, &w->group);
	close_pipes(w);
	return -1;
}

void
watch_until_end(struct watch *w)
{
	wait_for_end(w);
	end_all(w);
	close(w->pid_fd);
	close_pipes(w);
}

int
watch_code(const struct watch *w)
{
	return WIFEXITED(w->status) ? WEXITSTATUS(w->status)
				    : 128 + WTERMSIG(w->status);
}
