/* SPDX-License-Identifier: MIT */
#ifndef TOOL_SCHEMA_H
#define TOOL_SCHEMA_H

struct arena;
struct buf;
struct err;
struct json;

/*
 * The part of JSON Schema (draft 2020-12) that tools describe their arguments
 * with: type, enum, const; properties, required, additionalProperties,
 * minProperties, maxProperties; items, minItems, maxItems, uniqueItems;
 * minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf;
 * minLength, maxLength (in code points); anyOf, oneOf, allOf, not; true and
 * false. What only explains (title, description, default, examples, format,
 * $schema, $id, $comment, deprecated, readOnly, writeOnly) is let pass. Pure.
 */

/*
 * 0, or -1 and ERR_CONFIG, with the place, if a schema has a keyword that is
 * none of these: it would constrain and not be obeyed.
 */
int schema_supported(const struct json *schema, struct err *err);

/* The schema of any object. */
#define SCHEMA_ANY_OBJECT "{\"type\":\"object\"}"

/*
 * Of a schema that somebody else checks by, so that words that are not known
 * here do no harm: itself if it is supported, else that of any object, the
 * arena's.
 */
const struct json *schema_usable(struct arena *a, const struct json *schema);

/*
 * 0 if value is valid, else -1 and in why what is wrong: at most 20 lines,
 * worded as ajv does, "data/path must be string".
 */
int schema_check(
    const struct json *schema, const struct json *value, struct buf *why);

#endif
