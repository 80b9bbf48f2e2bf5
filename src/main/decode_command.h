/* SPDX-License-Identifier: MIT */
#ifndef MAIN_DECODE_COMMAND_H
#define MAIN_DECODE_COMMAND_H

/*
 * agent-fpm decode --api API [--provider NAME] [--quirks WORDS] FILE: what is
 * made of a recorded answer of a provider, as one JSON document. Needs no
 * configuration. The exit code; -1 if the arguments are wrong.
 */
int decode_command(int argc, char **argv);

#endif
