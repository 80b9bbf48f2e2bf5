/* SPDX-License-Identifier: MIT */
#ifndef MODEL_HIDE_H
#define MODEL_HIDE_H

/*
 * Overwrites with stars what is or may be a secret, in a text that a provider
 * says: some repeat the key or the header that they did not like. In place;
 * the text stays as long, and UTF-8. Nothing here blocks.
 */

/* Whatever looks like a key: by its first letters, behind "Bearer ", as a
 * query's key=, or as 32 and more letters and digits in a row. */
void hide_keys(char *text);

/* The secret itself, and from HIDE_PART characters on also its beginning. */
#define HIDE_PART 8
void hide_secret(char *text, const char *secret);

#endif
