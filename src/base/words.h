/* SPDX-License-Identifier: MIT */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

/* 1 if a text of words with a space between them has this one, else 0. */
int words_have(const char *text, const char *word);

/* 1 if a list of words, ended by NULL, has this one, else 0; 0 of NULL. */
int words_list_has(const char *const *list, const char *word);

#endif
