/* SPDX-License-Identifier: MIT */
#ifndef MODEL_STRICT_H
#define MODEL_STRICT_H

struct json;

/*
 * 1 if OpenAI takes a schema with "strict", else 0, also of NULL. All members
 * of its objects are required and no others allowed, and it is of few words;
 * which, is decided with caution, because one that is taken for strict and is
 * not makes the API refuse the whole request.
 */
int strict_fits(const struct json *schema);

#endif
