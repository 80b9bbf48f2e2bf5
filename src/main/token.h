/* SPDX-License-Identifier: MIT */
#ifndef MAIN_TOKEN_H
#define MAIN_TOKEN_H

#include <stdint.h>

struct conf;

/*
 * agent-fpm token --sub NAME [--ttl TIME] [--claim K=V]... prints a token
 * signed with the configured secret; agent-fpm token verify [--now SECONDS] -
 * reads one from standard input and prints its claims, or why it is refused;
 * agent-fpm token revoke: see revoke.h.
 * The exit code; -1 if the words make no sense.
 */
int token_command(const struct conf *c, int argc, char **argv);

/* 90, 90s, 15m, 1h or 30d, in seconds; -1 if it is no such time. */
int64_t token_parse_time(const char *text);

#endif
