/* SPDX-License-Identifier: MIT */
#ifndef AUTH_IDENTITY_H
#define AUTH_IDENTITY_H

#include <stdint.h>

#define IDENTITY_USER_MAX_BYTES 255
#define IDENTITY_TENANT_MAX_BYTES 127

/*
 * Who a request is from, as its token proved. The user is printable ASCII
 * without spaces (0x21 to 0x7e), 1 to 255 bytes, so it can stand in a log
 * line as it is.
 * So may the tenant, if the token names one.
 */
struct identity {
	char user[IDENTITY_USER_MAX_BYTES + 1];
	char tenant[IDENTITY_TENANT_MAX_BYTES + 1]; /* "": none */
	int decides;       /* for the other users of the tenant */
	int64_t expires_s; /* wall clock, Unix time */
};

#endif
