/* SPDX-License-Identifier: MIT */
#ifndef SANDBOX_ANSWER_H
#define SANDBOX_ANSWER_H

struct json;

/* A member that a good answer to op must have and this one has not, or not of
 * the right type; NULL: there is all. */
const char *sandbox_answer_lacks(const char *op, const struct json *answer);

#endif
