/* SPDX-License-Identifier: MIT */
/*
 * The types of settings: how a value is read, and what to tell whoever wrote
 * one that is not. A table of small parsers, one per type.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/conf_priv.h"

#define NEAR_MAX 4 /* edits between a mistyped name and the meant one */
#define NAME_MAX_CHARS 63
#define RATIO_WHOLE 1000000
#define PRICE_MAX INT64_C(1000000000000) /* a million */
#define RATE_PERIOD_MIN_MS 1000
#define RATE_PERIOD_MAX_MS (24 * 3600 * INT64_C(1000))

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit byte_units[] = {
	{ "", 1 },
	{ "k", 1024 },
	{ "m", 1024 * 1024 },
	{ "g", 1024 * 1024 * 1024 },
	{ NULL, 0 },
};

static const struct unit time_units[] = {
	{ "ms", 1 },
	{ "s", 1000 },
	{ "m", 60 * 1000 },
	{ "h", 3600 * 1000 },
	{ "d", 24 * 3600 * 1000 },
	{ NULL, 0 },
};

static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

/* A number and a unit. 0, or -1. */
static int
parse_with_units(const char *text, const struct unit *units, int64_t *out)
{
	char *end;
	int64_t v;

	if (!isdigit((unsigned char)*text))
		return -1;
	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno != 0)
		return -1;
	for (; units->name != NULL; units++)
		if (strcasecmp(end, units->name) == 0)
			return __builtin_mul_overflow(v, units->factor, out)
				   ? -1
				   : 0;
	return -1;
}

static int
parse_int(const struct setting *s, const char *text, int64_t *out)
{
	(void)s;
	return parse_with_units(text, no_units, out);
}

static int
parse_bytes(const struct setting *s, const char *text, int64_t *out)
{
	(void)s;
	return parse_with_units(text, byte_units, out);
}

static int
parse_time(const struct setting *s, const char *text, int64_t *out)
{
	(void)s;
	if (strcmp(text, "0") == 0) {
		*out = 0;
		return 0;
	}
	return parse_with_units(text, time_units, out);
}

static int
parse_mode(const struct setting *s, const char *text, int64_t *out)
{
	char *end;

	(void)s;
	*out = strtoll(text, &end, 8);
	return *text == '\0' || *end != '\0' ? -1 : 0;
}

static int
parse_bool(const struct setting *s, const char *text, int64_t *out)
{
	static const char *const words[] = { "no", "yes", "off", "on", "false",
		"true", "0", "1" };

	(void)s;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*out = (int64_t)(i & 1);
			return 0;
		}
	}
	return -1;
}

static int
parse_choice(const struct setting *s, const char *text, int64_t *out)
{
	const char *p = s->choices;
	size_t n, len = strlen(text);

	for (*out = 0; *p != '\0'; (*out)++) {
		n = strcspn(p, " ");
		if (n == len && strncmp(p, text, n) == 0)
			return 0;
		p += n + strspn(p + n, " ");
	}
	return -1;
}

/* A decimal number with at most six places. */
static int
parse_price(const struct setting *s, const char *text, int64_t *out)
{
	int64_t v = 0;
	int places = -1;

	(void)s;
	if (*text == '\0') {
		*out = -1;
		return 0;
	}
	for (; isdigit((unsigned char)*text) || (*text == '.' && places < 0);
	     text++) {
		if (*text == '.') {
			places = 0;
			continue;
		}
		if (places >= 0 && ++places > 6)
			return -1;
		if (v > PRICE_MAX)
			return -1;
		v = v * 10 + (*text - '0');
	}
	for (places = places < 0 ? 0 : places; places < 6; places++)
		v *= 10;
	*out = v;
	return *text == '\0' && v <= PRICE_MAX ? 0 : -1;
}

/* The part of text before end, or all of it, as a number with a unit. */
static int
parse_part(
    const char *text, const char *end, const struct unit *units, int64_t *out)
{
	char part[32];
	size_t n = end == NULL ? strlen(text) : (size_t)(end - text);

	if (n >= sizeof(part))
		return -1;
	memcpy(part, text, n);
	part[n] = '\0';
	return parse_with_units(part, units, out);
}

/* COUNT/TIME, and perhaps burst=COUNT. out is a struct conf_rate. */
static int
parse_rate(const struct setting *s, const char *text, int64_t *out)
{
	struct conf_rate *rate = (struct conf_rate *)(void *)out;
	const char *time = strchr(text, '/'), *burst;

	memset(rate, 0, sizeof(*rate));
	if (strcmp(text, "off") == 0 || strcmp(text, "0") == 0)
		return 0;
	if (time == NULL || parse_part(text, time, no_units, &rate->count) < 0)
		return -1;
	burst = strchr(++time, ' ');
	if (parse_part(time, burst, time_units, &rate->period_ms) < 0)
		return -1;
	rate->burst = rate->count;
	if (burst != NULL) {
		burst += strspn(burst, " ");
		if (strncmp(burst, "burst=", 6) != 0 ||
		    parse_with_units(burst + 6, no_units, &rate->burst) < 0)
			return -1;
	}
	return rate->count > 0 && rate->burst > 0 &&
		       (burst == NULL || rate->burst <= s->max) &&
		       rate->period_ms >= RATE_PERIOD_MIN_MS &&
		       rate->period_ms <= RATE_PERIOD_MAX_MS
		   ? 0
		   : -1;
}

static int
parse_ratio(const struct setting *s, const char *text, int64_t *out)
{
	return *text != '\0' && parse_price(s, text, out) == 0 &&
		       *out <= RATIO_WHOLE
		   ? 0
		   : -1;
}

static const struct {
	int (*parse)(const struct setting *, const char *, int64_t *);
	const char *wanted;
} types[] = {
	[SETTING_STRING] = { NULL, NULL },
	[SETTING_INT] = { parse_int, "a whole number" },
	[SETTING_BYTES] = { parse_bytes, "a size such as 512, 64k or 1m" },
	[SETTING_TIME] = { parse_time,
	    "a time such as 15ms, 30s, 5m, 1h or 7d" },
	[SETTING_MODE] = { parse_mode, "an octal mode such as 0660" },
	[SETTING_BOOL] = { parse_bool, "yes or no" },
	[SETTING_CHOICE] = { parse_choice, NULL },
	[SETTING_PRICE] = { parse_price, "a price such as 3 or 0.25" },
	[SETTING_RATE] = { parse_rate,
	    "off, or a rate such as 60/1m or 60/1m burst=10, of 1s to 1d" },
	[SETTING_RATIO] = { parse_ratio, "a ratio from 0 to 1 such as 0.1" },
};

int
setting_parse(const struct setting *s, const char *text, void *base,
    size_t origin, struct buf *why)
{
	void *field = (char *)base + (s->offset - origin);
	char **str = field;
	int64_t v[3]; /* as many as a struct conf_rate */

	if (s->type == SETTING_STRING) {
		free(*str);
		*str = strdup(text);
		return *str == NULL ? -1 : 0;
	}
	if (types[s->type].parse(s, text, v) < 0) {
		if (s->choices != NULL)
			buf_printf(
			    why, "\"%s\" is none of: %s", text, s->choices);
		else
			buf_printf(why, "\"%s\" is not %s", text,
			    types[s->type].wanted);
		return -1;
	}
	if (s->choices == NULL && s->type != SETTING_PRICE &&
	    (v[0] < s->min || v[0] > s->max)) {
		buf_printf(why,
		    s->type == SETTING_MODE
			? "\"%s\" is out of range: 0%" PRIo64 " to 0%" PRIo64
			: "\"%s\" is out of range: %" PRId64 " to %" PRId64
			  "%s",
		    text, s->min, s->max, s->type == SETTING_TIME ? " ms" : "");
		return -1;
	}
	memcpy(field, v,
	    s->type == SETTING_RATE ? sizeof(struct conf_rate) : sizeof(*v));
	return 0;
}

const struct setting *
setting_find(const char *name)
{
	for (size_t i = 0; i < settings_count; i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

static int
min3(int a, int b, int c)
{
	int m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein's distance of two names, both short. */
static int
distance(const char *a, const char *b)
{
	int row[NAME_MAX_CHARS + 1];
	int n = (int)strlen(b), diagonal, above;

	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 1; a[i - 1] != '\0'; i++) {
		diagonal = row[0];
		row[0] = i;
		for (int j = 1; j <= n; j++) {
			above = row[j];
			row[j] = min3(above + 1, row[j - 1] + 1,
			    diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

/* How far name is from s: its full name, or its key in another section. */
static int
setting_distance(const struct setting *s, const char *name)
{
	const char *key = strrchr(s->name, '.');
	const char *wrote = strrchr(name, '.');
	int d = distance(name, s->name);

	if (key != NULL && strcmp(key + 1, wrote ? wrote + 1 : name) == 0 &&
	    d > 1)
		d = 1;
	return d;
}

const struct setting *
setting_nearest(const char *name)
{
	const struct setting *best = NULL;
	int d, best_d = NEAR_MAX + 1;

	if (strlen(name) > NAME_MAX_CHARS)
		return NULL;
	for (size_t i = 0; i < settings_count; i++) {
		d = setting_distance(&settings[i], name);
		if (d < best_d) {
			best_d = d;
			best = &settings[i];
		}
	}
	return best;
}
