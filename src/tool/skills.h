/* SPDX-License-Identifier: MIT */
#ifndef TOOL_SKILLS_H
#define TOOL_SKILLS_H

#include <stddef.h>

struct buf;
struct err;

/*
 * Skills: instructions for some kinds of work, with files that belong to
 * them. Folders NAME of one folder, each with a SKILL.md, read once with all
 * that is in them: what agent-fpm -t has checked is what agents get, and no
 * thread waits for the disk later. Immutable then, for any thread.
 */
struct skills;

struct skill_file {
	const char *path; /* below the skill's folder */
	const char *data;
	size_t len;
};

struct skill {
	const char *name;
	const char *description; /* one line */
	const char *text;        /* of SKILL.md */
	size_t text_len;
	const struct skill_file *files; /* SKILL.md too; by their paths */
	size_t file_count;
};

/* Those of an agent. */
struct skill_list {
	const struct skill *const *skills;
	size_t count;
};

/*
 * Reads dir; one that is missing holds none. NULL and ERR_CONFIG with the
 * file, and the line where there is one, if a skill is not valid, holds a
 * symlink, or there is too much of anything. Blocks for the disk.
 */
struct skills *skills_load(const char *dir, struct err *err);
void skills_free(struct skills **s_p);

/* All of them, by name. */
struct skill_list skills_all(const struct skills *s);

/* The skill of that name, or NULL. */
const struct skill *skill_list_find(
    const struct skill_list *list, const char *name);

/*
 * Appends what the system prompt of an agent says of its skills, 32 KiB
 * about; of more than that it says how many and how to list them.
 */
void skill_list_prompt(const struct skill_list *list, struct buf *out);

#endif
