/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_TALLY_H
#define BRIDGE_TALLY_H

#include <stdint.h>

/* How many there are of each name: of connections by address, or by user. */
struct tally {
	struct tally_row *rows;
};

/* Of all connections of a gateway, whatever they speak. */
struct guests;
struct tallies {
	struct tally addresses;
	struct guests *guests; /* who was let in, by user */
};

/* One more of a name, which is copied. 1, or 0: there are max; 0 is no bound.
 */
int tally_take(struct tally *t, const char *name, int64_t max);

/* One less; it was taken. */
void tally_drop(struct tally *t, const char *name);
void tally_fini(struct tally *t);

#endif
