/* SPDX-License-Identifier: MIT */
/*
 * The one logger. A line is built on the stack and written at once, so lines
 * of threads and processes that share a pipe or a file do not mix. Quotes,
 * control bytes and line ends inside a message are escaped: a client cannot
 * forge a line.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/err.h"
#include "base/log.h"

#define LINE_MAX_BYTES 2048

static const char *const names[] = { "debug", "info", "warn", "error" };

static _Atomic int min_level = LOG_INFO;
static char process_name[32] = "agent-fpm";
static char file_path[4096]; /* of the thread that begins, and takes signals */

static _Thread_local struct {
	const char *request;
	const char *agent;
	const char *turn;
} context = { "", "", "" };

void
log_level_set(enum log_level level)
{
	atomic_store(&min_level, (int)level);
}

int
log_level_parse(const char *name)
{
	for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}

int
log_file_set(const char *path, struct err *err)
{
	int fd;

	if (*path == '\0')
		return 0;
	if (strlen(path) >= sizeof(file_path))
		return err_set(
		    err, ERR_CONFIG, "log_file: the path is too long");
	fd = open(
	    path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
		err_set(
		    err, ERR_CONFIG, "log_file: %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	if (path != file_path)
		strcpy(file_path, path);
	return 0;
}

void
log_file_reopen(void)
{
	struct err err;

	if (log_file_set(file_path, &err) < 0)
		log_error("%s; the log stays where it is", err.text);
}

void
log_name_set(const char *name)
{
	snprintf(process_name, sizeof(process_name), "%s", name);
}

void
log_context_set(const char *request, const char *agent, const char *turn)
{
	context.request = request;
	context.agent = agent;
	context.turn = turn;
}

/* Appends s so that it cannot end the quoted value or the line. */
static size_t
line_add_escaped(char *line, size_t n, const char *s)
{
	for (; *s != '\0' && n < LINE_MAX_BYTES - 8; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			line[n++] = '\\';
		else if (c < 0x20 || c == 0x7f)
			c = '?';
		line[n++] = (char)c;
	}
	return n;
}

static size_t
line_add_pair(char *line, size_t n, const char *key, const char *value)
{
	if (*value == '\0' || n + strlen(key) + 8 > LINE_MAX_BYTES - 8)
		return n;
	n += (size_t)sprintf(line + n, "%s=\"", key);
	n = line_add_escaped(line, n, value);
	line[n++] = '"';
	line[n++] = ' ';
	return n;
}

static size_t
line_add_time(char *line)
{
	int64_t ms = clk_wall_ms();
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&t, &tm);
	n = strftime(line, 64, "time=%Y-%m-%dT%H:%M:%S", &tm);
	return n + (size_t)sprintf(line + n, ".%03dZ ", (int)(ms % 1000));
}

void
log_write(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES], text[LINE_MAX_BYTES / 2];
	va_list ap;
	size_t n;

	if ((int)level < atomic_load(&min_level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	n = line_add_time(line);
	n += (size_t)sprintf(line + n, "level=%s proc=%s pid=%d ", names[level],
	    process_name, (int)getpid());
	n = line_add_pair(line, n, "request", context.request);
	n = line_add_pair(line, n, "agent", context.agent);
	n = line_add_pair(line, n, "turn", context.turn);
	n = line_add_pair(line, n, "msg", text);
	line[n - 1] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nobody is left to tell */
}
