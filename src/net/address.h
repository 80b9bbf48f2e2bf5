/* SPDX-License-Identifier: MIT */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "base/err.h"

struct sockaddr;

/*
 * Which addresses a request may go to that was not written by the
 * administrator alone: public ones, and networks that the configuration
 * names. Checked on the address that is connected to, so no name that
 * resolves to another later gets around it.
 */
struct networks;

/*
 * Networks as ADDRESS/BITS or ADDRESS, IPv4 or IPv6, separated by spaces.
 * NULL and ERR_CONFIG with the word that is none. networks_free frees them.
 */
struct networks *networks_parse(const char *text, struct err *err);
void networks_free(struct networks **n_p);

/*
 * 1 if an address is globally reachable by the IANA special-purpose address
 * registries (RFC 6890), or in one of the networks. An IPv4 address within
 * IPv6 (RFC 4291 section 2.5.5.2, RFC 6052) counts as that IPv4 address.
 */
int networks_admit(const struct networks *n, const struct sockaddr *address);

/* 1 if text is an address, of whichever family, in one of the networks. */
int networks_contain(const struct networks *n, const char *text);

#endif
