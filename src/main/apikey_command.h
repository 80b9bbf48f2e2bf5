/* SPDX-License-Identifier: MIT */
#ifndef MAIN_APIKEY_COMMAND_H
#define MAIN_APIKEY_COMMAND_H

struct conf;

/*
 * agent-fpm apikey new NAME --user USER [--tenant NAME] [--role NAME]...
 * [--scope NAME]... [--expires DATE|TIME] prints a key and the section for the
 * configuration; agent-fpm apikey list, those that are configured; agent-fpm
 * apikey revoke NAME makes one worthless at once. The exit code; -1 if the
 * words make no sense.
 */
int apikey_command(const struct conf *c, int argc, char **argv);

#endif
