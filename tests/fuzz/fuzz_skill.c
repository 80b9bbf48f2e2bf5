/* SPDX-License-Identifier: MIT */
/*
 * A SKILL.md. It is read, and then its name and its description are within
 * their bounds; or it is refused, and then a line of it is named.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "tool/skill_read.h"
#include "tool/skills.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_open(1024);
	struct err err = { 0 };
	struct skill s = { 0 };
	int line = 0;

	if (skill_read(a, (const char *)data, size, &s, &line, &err) == 0) {
		must(skill_name_check(s.name, NULL) == 0);
		must(*s.description != '\0');
		must(strlen(s.description) <= SKILL_DESCRIPTION_MAX * 4);
		must(strpbrk(s.description, "\n\t") == NULL);
		must(json_utf8_whole(s.description, strlen(s.description)) ==
		     strlen(s.description));
		must(s.text_len == size);
	} else {
		must(err.code == ERR_CONFIG && err.text[0] != '\0');
		must(line >= 1 && (size_t)line <= size + 2);
	}
	arena_close(&a);
	return 0;
}
