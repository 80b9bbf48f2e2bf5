/* SPDX-License-Identifier: MIT */
/* Lists as texts: claims of tokens and values of settings have them so. */
#include "config.h"

#include <string.h>

#include "auth/words.h"

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
