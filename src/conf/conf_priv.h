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
	SETTING_CHOICE, /* one of choices; its index is kept */
	SETTING_PRICE,  /* 3 or 0.25, in millionths; -1 for "" */
	SETTING_RATE,   /* 60/1m, 60/1m burst=10, off: a struct conf_rate */
	SETTING_RATIO   /* 0 to 1, in millionths */
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
	int named; /* only as [name NAME] */
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
 * Puts text into the setting's field. base is a struct conf; or, for the
 * settings of named sections, what stands at offset origin of one. 0, or -1
 * and in why what is wrong and what to write.
 */
int setting_parse(const struct setting *s, const char *text, void *base,
    size_t origin, struct buf *why);

/* ---- conf_named.c: sections that may be there many times ---- */

enum named_kind {
	NAMED_MODEL,
	NAMED_PROVIDER,
	NAMED_ISSUER,
	NAMED_API_KEY,
	NAMED_KINDS
};

/* What their headings begin with. */
extern const char *const named_words[NAMED_KINDS];

/* What is set below [model NAME] or its like. */
struct named {
	struct named *next;
	enum named_kind kind;
	char label[64];
	int line;
	struct named_value {
		const struct setting *setting;
		char *text;
		int line;
		struct named_value *next;
	} * values, **tail;
};

/* The place of its kind in struct conf; 0 if s is of no named section. */
size_t named_origin(const struct setting *s);

/*
 * The end of the file: makes the models, providers and their like of c. A model
 * begins as a copy of [model], but with another provider without what goes with
 * that one, and with another id without its prices. complain is called for each
 * mistake.
 */
void named_resolve(struct conf *c, const struct named *first,
    void (*complain)(void *ctx, int line, const char *text), void *ctx);
void named_free(struct named **first_p);
void named_conf_free(struct conf *c);

#endif
