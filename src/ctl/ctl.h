/* SPDX-License-Identifier: MIT */
#ifndef CTL_CTL_H
#define CTL_CTL_H

struct conf;

/*
 * agent-fpm ctl [--json] COMMAND [ARGUMENT]: what an administrator asks of a
 * pool, or does to the data of a user. argv[0] is "ctl". The exit code; -1 if
 * the arguments are wrong. Blocks until it is done.
 */
int ctl_command(const struct conf *c, int argc, char **argv);

#endif
