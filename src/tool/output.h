/* SPDX-License-Identifier: MIT */
#ifndef TOOL_OUTPUT_H
#define TOOL_OUTPUT_H

struct err;
struct json;

/* The members outputSchema and toolChoice of an object, where they are there:
 * 0, or -1 and ERR_INVALID with the member's name. */
int output_check(const struct json *j, struct err *err);

#endif
