/* SPDX-License-Identifier: MIT */
/* Lists of words: as texts, which claims and settings are, and as arrays. */
#include "config.h"

#include <string.h>

#include "base/words.h"

int
words_have(const char *text, const char *word)
{
	size_t n;

	for (; *text != '\0'; text += n + (text[n] == ' ')) {
		n = strcspn(text, " ");
		if (n == strlen(word) && memcmp(text, word, n) == 0)
			return 1;
	}
	return 0;
}

int
words_list_has(const char *const *list, const char *word)
{
	for (; word != NULL && *list != NULL; list++)
		if (strcmp(*list, word) == 0)
			return 1;
	return 0;
}
