/* SPDX-License-Identifier: MIT */
#ifndef MODEL_SCRIPT_PRIV_H
#define MODEL_SCRIPT_PRIV_H

#include <regex.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct err;
struct json;

/*
 * Scenarios: a file that says what the model `script` says, in the format
 * that tests/lib/scripted_model.py describes. Checked when it is loaded, so
 * that playing it cannot fail.
 */

enum script_step_kind {
	SCRIPT_TEXT,
	SCRIPT_THINKING,
	SCRIPT_CALL,
	SCRIPT_WAIT,
	SCRIPT_STALL,
	SCRIPT_PING,
	SCRIPT_ERROR,
	SCRIPT_STATUS,
	SCRIPT_CUT,
	SCRIPT_RESET,
	SCRIPT_GARBAGE,
	SCRIPT_SPLIT,
	SCRIPT_STOP_REASON,
	SCRIPT_USAGE,
	SCRIPT_STEP_KINDS
};

struct script_step {
	enum script_step_kind kind;
	const struct json *json;  /* all of it */
	const struct json *value; /* of the member that names the kind */
};

/* For which messages of a conversation a scenario is. */
enum script_count { SCRIPT_ANY, SCRIPT_FIRST, SCRIPT_LATER };

struct scenario {
	regex_t regex;
	enum script_count count;
	int64_t round; /* of a turn; -1: of any */
	struct script_step *steps;
	size_t step_count;
};

/* How often a status step with "times" has refused a conversation. */
struct script_counter {
	const struct script_step *step;
	uint64_t conversation;
	int64_t refused;
};

#define SCRIPT_COUNTERS 256 /* the oldest is forgotten for a new one */

/* What a process has of it. The loop's thread alone. */
struct script {
	struct arena *arena;
	struct scenario *scenarios; /* the last one matches everything */
	size_t count;
	struct script_counter counters[SCRIPT_COUNTERS];
	size_t next_counter;
	int64_t calls; /* so far */
};

/*
 * The scenarios of the file at path, or the built-in ones if it is "". NULL
 * and ERR_CONFIG if there is a mistake. Blocks on the file.
 */
struct script *script_load(const char *path, struct err *err);
void script_free(struct script **s_p);

extern const char script_builtin[];

/* What ${...} stands for in one call. The strings are the arena's. */
struct script_texts {
	struct arena *arena;
	const char *last;
	const char *first;
	const char *results; /* of the last message, a line each */
	int64_t count;       /* messages of the user */
	int64_t round;       /* answers since the last one */
	const regmatch_t *groups;
	size_t group_count;
};

/*
 * Reads what the user said from a {"messages":[...]}. 0, or -1 if it is no
 * such document.
 */
int script_texts_read(struct script_texts *t, struct arena *a,
    const char *messages, size_t len, struct err *err);

/* The scenario for it; sets the groups. */
const struct scenario *script_match(
    const struct script *s, struct script_texts *t);

/* text with its ${...} replaced; the arena's. */
const char *script_expand(const struct script_texts *t, const char *text);

/* Appends JSON, under a name unless that is NULL; so are its texts. */
void script_expand_json(const struct script_texts *t, struct buf *out,
    const char *name, const struct json *j);

#endif
