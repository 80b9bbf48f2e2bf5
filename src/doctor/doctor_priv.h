/* SPDX-License-Identifier: MIT */
#ifndef DOCTOR_DOCTOR_PRIV_H
#define DOCTOR_DOCTOR_PRIV_H

#include <stdint.h>

struct arena;
struct conf;
struct doctor_options;

enum verdict {
	DOCTOR_OK,
	DOCTOR_WARN, /* it works, but not as well as it could */
	DOCTOR_FAIL  /* something does not work, or may be lost */
};

/* What the checks know, and have found. */
struct doctor {
	const struct conf *conf;
	const struct doctor_options *options;
	struct arena *arena;
	enum verdict worst;
};

/* Prints the line of a check: what was seen, and behind it what to do. */
void doctor_say(struct doctor *d, enum verdict v, const char *name,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* A group of checks: says one line or more. */
typedef void doctor_check_f(struct doctor *d);

/* ---- check_host.c ---- */
doctor_check_f check_libraries;
doctor_check_f check_listen;
doctor_check_f check_descriptors;
doctor_check_f check_disks;

/* ---- check_secrets.c ---- */
doctor_check_f check_secrets;

/* ---- check_store.c ---- */
doctor_check_f check_store;

/* ---- check_sandbox.c ---- */
doctor_check_f check_sandbox;

/* ---- check_bridge.c ---- */
doctor_check_f check_bridge;

/* ---- check_issuers.c ---- */
doctor_check_f check_issuers;

/* ---- check_model.c ---- */
doctor_check_f check_model;
doctor_check_f check_prices;

/* ---- check_site.c: by its URL, through nginx ---- */
doctor_check_f check_site;

#endif
