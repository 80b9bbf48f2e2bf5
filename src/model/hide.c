/* SPDX-License-Identifier: MIT */
/*
 * Keys in messages. A key that is known is looked for as it is; others by
 * what they look like: of a gateway nobody here knows the key of the provider
 * behind it. A word too many that is hidden does no harm.
 */
#include "config.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "model/hide.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define KEY_MIN 11    /* shorter is no key */
#define OPAQUE_MIN 32 /* letters and digits that are no word: Azure's */

#define ALNUM                                                                  \
	"abcdefghijklmnopqrstuvwxyz"                                           \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ"                                           \
	"0123456789"

static const char in_key[] = ALNUM "-_.";
static const char in_token[] = ALNUM "-_.~+/=";

/* Starts of the providers' keys, and Google's of access tokens. */
static const char *const starts[] = { "sk-", "sk_", "gsk_", "csk-", "xai-",
	"AIza", "AQ.", "ya29.", "key-", "hf_", "nvapi-", "pplx-", "fw_" };

/* What a header or a query says before one. */
static const char *const before[] = { "bearer ",
	"?key=", "&key=", "api_key=", "api-key: " };

static void
stars(char *s, size_t len)
{
	memset(s, '*', len);
}

/* How many of the characters in set begin s, but no point that ends it. */
static size_t
run_of(const char *s, const char *set)
{
	size_t len = strspn(s, set);

	while (len > 0 && s[len - 1] == '.')
		len--;
	return len;
}

static size_t
start_len(const char *s)
{
	for (size_t i = 0; i < COUNT(starts); i++)
		if (strncmp(s, starts[i], strlen(starts[i])) == 0)
			return strlen(starts[i]);
	return 0;
}

/* s is the beginning of a word. */
static void
hide_key_at(char *s)
{
	size_t start = start_len(s), len;

	if (start == 0)
		return;
	len = run_of(s, in_key);
	if (len >= KEY_MIN)
		stars(s + start, len - start);
}

/* "Bearer authentication" is none: a token has a digit. */
static void
hide_token_at(char *s)
{
	for (size_t i = 0; i < COUNT(before); i++) {
		size_t n = strlen(before[i]), len;

		if (strncasecmp(s, before[i], n) != 0)
			continue;
		len = run_of(s + n, in_token);
		if (len >= KEY_MIN && strcspn(s + n, "0123456789") < len)
			stars(s + n, len);
	}
}

/* s is the beginning of letters and digits. Their length. */
static size_t
hide_opaque_at(char *s)
{
	size_t len = strspn(s, ALNUM), digits = 0;

	for (size_t i = 0; i < len; i++)
		digits += isdigit((unsigned char)s[i]) != 0;
	if (len >= OPAQUE_MIN && digits > 0 && digits < len)
		stars(s, len);
	return len;
}

void
hide_keys(char *text)
{
	for (char *s = text; *s != '\0'; s++) {
		if (s == text || strchr(ALNUM "-_", s[-1]) == NULL)
			hide_key_at(s);
		hide_token_at(s);
	}
	for (char *s = text; *s != '\0';) {
		size_t len = hide_opaque_at(s);

		s += len > 0 ? len : 1;
	}
}

void
hide_secret(char *text, const char *secret)
{
	size_t whole = strlen(secret), len;
	size_t part = whole < HIDE_PART ? whole : HIDE_PART;

	for (char *s = text; whole > 0 && *s != '\0'; s++) {
		for (len = 0; len < whole && s[len] == secret[len]; len++)
			;
		if (len >= part)
			stars(s, len);
	}
}
