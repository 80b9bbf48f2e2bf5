/* SPDX-License-Identifier: MIT */
/*
 * Ids of sessions and of agents: one number in two ways of writing.
 *
 * The first six digits of an agent's id, the number's lowest 30 bits, are the
 * hash tag of its keys: they must be random in both kinds. A UUID's bytes are
 * taken lowest first, so these are its first. The bits that say its version
 * and variant tell a UUIDv4 from an opencode session, which has in place of
 * the variant one that no UUIDv4 has:
 *
 *   bits 0-56    11 digits of base 36
 *   bits 57-69   0
 *   bits 70-71   11 (a UUIDv4's: 10)
 *   bits 72-119  ms since 1970
 *   bits 120-127 0
 */
#include "config.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clk.h"
#include "session/session_id.h"

#define AGENT "agt_"
#define RANDOM_BITS 57
#define VARIANT_AT 70
#define TIME_AT 72
#define TIME_MAX (UINT64_C(1) << 48)
#define DIGITS36 11
#define RANDOM_MAX UINT64_C(131621703842267136) /* 36 to the 11th */

typedef unsigned __int128 number;

static const char hex[] = "0123456789abcdef";
static const char base36[] = "0123456789abcdefghijklmnopqrstuvwxyz";

static const struct {
	const char *name;
	enum session_kind kind;
} architectures[] = {
	{ "claude-agent-sdk", SESSION_CLAUDE },
	{ "claude-sdk", SESSION_CLAUDE },
	{ "opencode", SESSION_OPENCODE },
};

int
session_kind_find(const char *architecture)
{
	for (size_t i = 0; i < sizeof(architectures) / sizeof(architectures[0]);
	     i++)
		if (strcmp(architectures[i].name, architecture) == 0)
			return (int)architectures[i].kind;
	return -1;
}

/* A digit of a base, or -1. */
static int
digit(const char *digits, char c)
{
	const char *p = c == '\0' ? NULL : strchr(digits, c);

	return p == NULL ? -1 : (int)(p - digits);
}

/* ---- UUIDv4 ---- */

static int
uuid_has_hyphen(int i)
{
	return i == 4 || i == 6 || i == 8 || i == 10;
}

static int
is_uuid(const unsigned char byte[16])
{
	return byte[6] >> 4 == 4 && byte[8] >> 6 == 2;
}

static void
uuid_print(char *out, const unsigned char byte[16])
{
	for (int i = 0; i < 16; i++) {
		if (uuid_has_hyphen(i))
			*out++ = '-';
		*out++ = hex[byte[i] >> 4];
		*out++ = hex[byte[i] & 15];
	}
	*out = '\0';
}

/* 1 or 0. */
static int
uuid_parse(const char *s, unsigned char byte[16])
{
	int high, low;

	if (strlen(s) != 36)
		return 0;
	for (int i = 0; i < 16; i++) {
		if (uuid_has_hyphen(i) && *s++ != '-')
			return 0;
		high = digit(hex, *s++);
		low = digit(hex, *s++);
		if (high < 0 || low < 0)
			return 0;
		byte[i] = (unsigned char)(high << 4 | low);
	}
	return is_uuid(byte);
}

static void
to_bytes(number v, unsigned char byte[16])
{
	for (int i = 0; i < 16; i++)
		byte[i] = (unsigned char)(v >> 8 * i);
}

static number
from_bytes(const unsigned char byte[16])
{
	number v = 0;

	for (int i = 0; i < 16; i++)
		v |= (number)byte[i] << 8 * i;
	return v;
}

/* ---- opencode ---- */

static void
opencode_print(char out[SESSION_ID_SIZE], uint64_t ms, uint64_t random)
{
	char digits[DIGITS36 + 1] = "";

	for (int i = DIGITS36 - 1; i >= 0; i--, random /= 36)
		digits[i] = base36[random % 36];
	snprintf(out, SESSION_ID_SIZE, "ses_%012" PRIx64 "_%s",
	    ms & (TIME_MAX - 1), digits);
}

/* 1 or 0. */
static int
opencode_parse(const char *s, number *v_r)
{
	uint64_t ms = 0, random = 0;
	int d;

	if (strlen(s) != 4 + 12 + 1 + DIGITS36 || strncmp(s, "ses_", 4) != 0 ||
	    s[16] != '_')
		return 0;
	for (int i = 4; i < 16; i++, ms = ms << 4 | (unsigned)d)
		if ((d = digit(hex, s[i])) < 0)
			return 0;
	for (int i = 17; i < 17 + DIGITS36;
	     i++, random = random * 36 + (unsigned)d)
		if ((d = digit(base36, s[i])) < 0)
			return 0;
	*v_r = (number)ms << TIME_AT | (number)3 << VARIANT_AT | random;
	return 1;
}

/* 1 if a number is one of these. */
static int
opencode_split(number v, uint64_t *ms_r, uint64_t *random_r)
{
	*ms_r = (uint64_t)(v >> TIME_AT) & (TIME_MAX - 1);
	*random_r = (uint64_t)v & ((UINT64_C(1) << RANDOM_BITS) - 1);
	return *random_r < RANDOM_MAX &&
	       v == ((number)*ms_r << TIME_AT | (number)3 << VARIANT_AT |
			*random_r);
}

/* ---- both ---- */

/* Evenly spread below RANDOM_MAX. */
static uint64_t
random_number(void)
{
	uint64_t r;

	do {
		id_random(&r, sizeof(r));
		r &= (UINT64_C(1) << RANDOM_BITS) - 1;
	} while (r >= RANDOM_MAX);
	return r;
}

void
session_id_make(char out[SESSION_ID_SIZE], enum session_kind kind)
{
	unsigned char byte[16];

	if (kind == SESSION_OPENCODE) {
		opencode_print(out, (uint64_t)clk_wall_ms(), random_number());
		return;
	}
	id_random(byte, sizeof(byte));
	byte[6] = (unsigned char)((byte[6] & 0x0f) | 0x40);
	byte[8] = (unsigned char)((byte[8] & 0x3f) | 0x80);
	uuid_print(out, byte);
}

int
session_id_agent(const char *s, char agent_r[ID_SIZE])
{
	unsigned char byte[16];
	number v;

	if (uuid_parse(s, byte))
		v = from_bytes(byte);
	else if (!opencode_parse(s, &v))
		return 0;
	id_print(agent_r, AGENT, v);
	return 1;
}

int
session_id_of_agent(const char *agent, char out[SESSION_ID_SIZE])
{
	unsigned char byte[16];
	uint64_t ms, random;
	number v;

	if (!id_number(agent, AGENT, &v))
		return 0;
	to_bytes(v, byte);
	if (is_uuid(byte))
		uuid_print(out, byte);
	else if (opencode_split(v, &ms, &random))
		opencode_print(out, ms, random);
	else
		return 0;
	return 1;
}
