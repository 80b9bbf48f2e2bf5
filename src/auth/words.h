/* SPDX-License-Identifier: MIT */
#ifndef AUTH_WORDS_H
#define AUTH_WORDS_H

/* 1 if a text of words with a space between them has this one, else 0. */
int words_have(const char *text, const char *word);

#endif
