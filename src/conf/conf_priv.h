/* SPDX-License-Identifier: MIT */
#ifndef CONF_CONF_PRIV_H
#define CONF_CONF_PRIV_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct conf;

enum setting_type {
	SETTING_STRING,
	SETTING_INT,
	SETTING_BYTES, /* 64k, 1m, 2g */
	SETTING_TIME,  /* 15ms, 30s, 5m, 1h */
	SETTING_MODE,  /* octal */
	SETTING_BOOL,
	SETTING_CHOICE /* one of choices; its index is kept */
};

struct setting {
	const char *name; /* section.key */
	enum setting_type type;
	size_t offset; /* in struct conf */
	const char *fallback;
	int64_t min, max;
	const char *choices; /* separated by spaces */
	const char *prose;
};

struct setting_section {
	const char *name; /* "" for what stands before the first section */
	const char *title;
};

extern const struct setting settings[];
extern const size_t settings_count;
extern const struct setting_section setting_sections[];
extern const size_t setting_sections_count;

/* The setting of that name, or NULL. */
const struct setting *setting_find(const char *name);

/* The setting whose name is nearest, or NULL if none is near. */
const struct setting *setting_nearest(const char *name);

/*
 * Puts text into the field of c. 0, or -1 and in why what is wrong and what
 * to write.
 */
int setting_parse(
    const struct setting *s, const char *text, struct conf *c, struct buf *why);

#endif
