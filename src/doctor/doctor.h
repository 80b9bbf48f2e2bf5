/* SPDX-License-Identifier: MIT */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

/*
 * agent-fpm doctor: looks at the configuration and at all that the pool needs
 * of this host, and prints a line for each check: ok, warn or FAIL, its name,
 * what was seen, and what to do about it. Changes nothing, asks the model
 * nothing. 0, or 1 if something failed. Blocks for the timeouts of what does
 * not answer.
 */
int doctor_run(const char *conf_path);

#endif
