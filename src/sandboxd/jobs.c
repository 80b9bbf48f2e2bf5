/* SPDX-License-Identifier: MIT */
/* Background jobs: bash.start, bash.logs, bash.kill, bash.list. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "base/json.h"
#include "base/spawn.h"
#include "conf/conf.h"
#include "sandboxd/job.h"
#include "sandboxd/job_files.h"
#include "sandboxd/jobs.h"
#include "sandboxd/network.h"
#include "sandboxd/path.h"

#define SHOWN_BYTES (8u << 20)
#define STATUS_BYTES 512
#define KILL_WAIT_MS 5000

/* ---- directories ---- */

/* The agent's, or one below it: "jobs", "jobs/ID". */
static int
agent_dir(struct job *j, const char *sub, int make, struct err *err)
{
	char path[WORKSPACE_KEY_SIZE + 64];
	int root, fd;

	snprintf(path, sizeof(path), "%s/%s", workspace_key(&j->ws), sub);
	root = workspace_base(&j->ws);
	if (make) {
		const char *name;
		int dir = path_open_parent(root, path, 1, &name, err);

		if (dir < 0)
			return -1;
		mkdirat(dir, name, 0700);
		close(dir);
	}
	fd = path_open(root, path, O_RDONLY | O_DIRECTORY, err);
	return fd;
}

static int
job_dir(struct job *j, struct err *err)
{
	const char *id = json_get_str(j->rq, "job");
	char sub[64];
	int fd = -1;

	if (id != NULL && id_valid(id, "job_")) {
		snprintf(sub, sizeof(sub), "jobs/%s", id);
		fd = agent_dir(j, sub, 0, NULL);
	}
	if (fd < 0)
		err_set(err, ERR_NOT_FOUND, "there is no such job");
	return fd;
}

typedef void each_f(void *ctx, int dir, const char *id);

/* Each job of an agent whose directory jobs is dir. Closes it. */
static void
for_each(int dir, each_f *fn, void *ctx)
{
	DIR *d = fdopendir(dir);
	struct dirent *de;
	int fd;

	if (d == NULL) {
		close(dir);
		return;
	}
	while ((de = readdir(d)) != NULL) {
		if (!id_valid(de->d_name, "job_"))
			continue;
		fd = openat(dirfd(d), de->d_name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		fn(ctx, fd, de->d_name);
		close(fd);
	}
	closedir(d);
}

/* ---- what they are doing ---- */

static void
add_status(struct job *j, int dir)
{
	const char *text = job_file_read(j->arena, dir, "status", STATUS_BYTES);
	const struct json *it =
	    text == NULL ? NULL
			 : json_parse(j->arena, text, strlen(text), 4, NULL);

	if (it == NULL && job_supervisor(j->arena, dir) != 0) {
		json_add_str(&j->answer, "status", "running");
		return;
	}
	json_add_str(&j->answer, "status", it == NULL ? "lost" : "ended");
	for (const struct json *v = json_first(it); v != NULL; v = json_next(v))
		json_add_json(&j->answer, json_name(v), v);
}

/* ---- start ---- */

static void
count_running(void *ctx, int dir, const char *id)
{
	struct arena *a = arena_open(512);

	(void)id;
	*(int *)ctx += job_supervisor(a, dir) != 0;
	arena_close(&a);
}

static int
running(struct job *j)
{
	int dir = agent_dir(j, "jobs", 0, NULL), n = 0;

	if (dir >= 0)
		for_each(dir, count_running, &n);
	return n;
}

int
jobs_any(struct job *j)
{
	return running(j) > 0;
}

static int
room_for_one(struct job *j, struct err *err)
{
	int n = running(j);

	if (n < j->conf->sandbox_jobs)
		return 0;
	return err_limit(err, ERR_LIMIT, "sandbox.jobs",
	    "%d background jobs run already, the most an agent may have: end "
	    "one with bash_kill",
	    n);
}

/* The supervisor, until it says that the command was started. network is a
 * connection to the proxy, or -1. */
static int
supervise(struct job *j, int dir, int network, struct err *err)
{
	char name[] = "agent-fpm-sandbox", dash_c[] = "-c",
	     option[] = "--supervise", key[WORKSPACE_KEY_SIZE],
	     with_network[] = "--network";
	char *path = arena_strdup(j->arena, j->conf_path);
	char *const argv[] = { name, dash_c, path, option, key,
		network < 0 ? NULL : with_network, NULL };
	char *const env[] = { NULL };
	struct spawn s = { .path = "/proc/self/exe",
		.argv = argv,
		.env = env,
		.fds = { dir, network },
		.fd_count = network < 0 ? 1 : 2 };
	int status;
	pid_t pid;

	snprintf(key, sizeof(key), "%s", workspace_key(&j->ws));
	pid = spawn_start(&s, err);
	if (pid < 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(err, ERR_INTERNAL, "the job was not started");
}

static int
start(struct job *j, const char *command, int network, struct err *err)
{
	char id[ID_SIZE], sub[64];
	int dir, rc;

	id_make(id, "job_");
	snprintf(sub, sizeof(sub), "jobs/%s", id);
	dir = agent_dir(j, sub, 1, err);
	if (dir < 0)
		return -1;
	rc = job_file_write(dir, "command", command, strlen(command));
	rc = rc < 0 ? err_set(err, ERR_INTERNAL, "the job cannot be written")
		    : supervise(j, dir, network, err);
	close(dir);
	if (rc == 0)
		json_add_str(&j->answer, "job", id);
	return rc;
}

int
bash_start(struct job *j, struct err *err)
{
	const char *command = job_command(j, err);
	int network, rc;

	if (command == NULL || room_for_one(j, err) < 0 ||
	    network_open(j->conf, json_get(j->rq, "network"), &network, err) <
		0)
		return -1;
	rc = start(j, command, network, err);
	if (network >= 0)
		close(network);
	return rc;
}

/* ---- logs, list, kill ---- */

int
bash_logs(struct job *j, struct err *err)
{
	int dir = job_dir(j, err), fd;
	struct stat st;
	char *text;
	size_t len;

	if (dir < 0)
		return -1;
	add_status(j, dir);
	fd = openat(dir, "output", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		json_add_int(&j->answer, "size", st.st_size);
		text = path_read_all(j->arena, fd, SHOWN_BYTES, &len, NULL);
		if (text != NULL)
			buf_add(&j->answer_data, text, len);
	}
	if (fd >= 0)
		close(fd);
	close(dir);
	return 0;
}

static void
add_job(void *ctx, int dir, const char *id)
{
	struct job *j = ctx;

	json_open(&j->answer, NULL, '{');
	json_add_str(&j->answer, "job", id);
	add_status(j, dir);
	json_close(&j->answer, '}');
}

int
bash_list(struct job *j, struct err *err)
{
	int dir = agent_dir(j, "jobs", 0, NULL);

	(void)err;
	json_open(&j->answer, "jobs", '[');
	if (dir >= 0)
		for_each(dir, add_job, j);
	json_close(&j->answer, ']');
	return 0;
}

/* Asks the supervisor to end it and waits; then it is made to. */
static void
end_job(int dir)
{
	int64_t deadline = clk_mono_ms() + KILL_WAIT_MS;
	struct timespec pause = { 0, 5 * 1000000L };
	struct arena *a = arena_open(512);
	pid_t pid = job_supervisor(a, dir);

	if (pid != 0)
		kill(pid, SIGTERM);
	while (pid != 0 && job_supervisor(a, dir) == pid) {
		arena_reset(a);
		if (clk_mono_ms() > deadline) {
			kill(pid, SIGKILL); /* and with it, the command */
			break;
		}
		nanosleep(&pause, NULL);
	}
	arena_close(&a);
}

int
bash_kill(struct job *j, struct err *err)
{
	int dir = job_dir(j, err);

	if (dir < 0)
		return -1;
	end_job(dir);
	add_status(j, dir);
	close(dir);
	return 0;
}

static void
end_each(void *ctx, int dir, const char *id)
{
	(void)ctx;
	(void)id;
	end_job(dir);
}

void
jobs_end_all(int dir)
{
	int jobs = openat(
	    dir, "jobs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (jobs >= 0)
		for_each(jobs, end_each, NULL);
}
