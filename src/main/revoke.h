/* SPDX-License-Identifier: MIT */
#ifndef MAIN_REVOKE_H
#define MAIN_REVOKE_H

struct conf;

/*
 * agent-fpm token revoke; argv[0] is "revoke". Blocks for Redis. The exit
 * code, or -1: it was called in a wrong way.
 */
int revoke_command(const struct conf *c, int argc, char **argv);

#endif
