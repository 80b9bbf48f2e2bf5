/* SPDX-License-Identifier: MIT */
#ifndef BASE_LOG_H
#define BASE_LOG_H

struct err;

/*
 * The log: logfmt lines on stderr, one write(2) each, from any thread.
 * Never a token, a prompt or what a tool printed.
 */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below this level are dropped. Default LOG_INFO. */
void log_level_set(enum log_level level);

/* "debug", "info", "warn" or "error" as a level; -1 for anything else. */
int log_level_parse(const char *name);

/*
 * Standard error becomes the file at path, which is appended to and made if
 * it is not there (mode 0640); "" changes nothing. 0, or -1 and ERR_CONFIG:
 * then lines go where they went.
 */
int log_file_set(const char *path, struct err *err);

/* Opens that file again by its name: somebody has moved it away. If it cannot
 * be, that is logged where lines went. */
void log_file_reopen(void);

/* The name of this process in each line: "master", "worker-0". */
void log_name_set(const char *name);

/*
 * What this thread works on, in each of its lines; "" for nothing. The strings
 * are not copied: they stay until other ones are set.
 */
void log_context_set(const char *request, const char *agent, const char *turn);

void log_write(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

#endif
