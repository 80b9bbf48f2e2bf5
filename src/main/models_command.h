/* SPDX-License-Identifier: MIT */
#ifndef MAIN_MODELS_COMMAND_H
#define MAIN_MODELS_COMMAND_H

struct conf;

/*
 * agent-fpm models [--check]: the models that are configured; with --check
 * each is called, for as few tokens as it allows. The exit code, 1 if a model
 * did not answer; -1 if the arguments are wrong.
 */
int models_command(const struct conf *c, int argc, char **argv);

#endif
