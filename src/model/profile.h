/* SPDX-License-Identifier: MIT */
#ifndef MODEL_PROFILE_H
#define MODEL_PROFILE_H

#include "model/model.h"

struct arena;
struct conf;
struct err;

/*
 * A provider: data, no code. Those that are built in are rows of a table,
 * others come from [provider NAME]. A string that says nothing is NULL or "".
 */
struct model_profile {
	const char *name;
	enum model_api api;
	const char *url;  /* "": the model must say it */
	const char *path; /* below the URL; {id} and {version} stand for the
			     model's */
	const char *key_header;   /* up to the key; "": none is sent */
	const char *key_variable; /* of the environment, or "" */
	unsigned quirks;          /* of enum model_quirk */
	int key_optional;
	int is_script;        /* scenarios of a file, no HTTP */
	const char *model_id; /* if the configuration says none, or "" */
	const char *version;  /* the same */
};

/* The built-in one of that name, or NULL. Static. */
const struct model_profile *profile_find(const char *name);

/* Adds the quirks of these words, separated by spaces; -word takes one away. 0,
 * or -1 and ERR_CONFIG. */
int profile_quirks(const char *words, unsigned *quirks, struct err *err);

/*
 * The provider of that name: built in, or of the configuration (in a). NULL
 * and ERR_CONFIG with what to write.
 */
const struct model_profile *profile_of(
    struct arena *a, const struct conf *c, const char *name, struct err *err);

#endif
