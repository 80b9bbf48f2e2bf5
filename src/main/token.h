/* SPDX-License-Identifier: MIT */
#ifndef MAIN_TOKEN_H
#define MAIN_TOKEN_H

struct conf;

/*
 * agent-fpm token --sub NAME [--ttl TIME] [--claim K=V]... prints a token
 * signed with the configured secret; agent-fpm token verify [--now SECONDS] -
 * reads one from standard input and prints its claims, or why it is refused.
 * The exit code; -1 if the words make no sense.
 */
int token_command(const struct conf *c, int argc, char **argv);

#endif
