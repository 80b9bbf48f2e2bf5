/* SPDX-License-Identifier: MIT */
/* Contexts of traces: see trace.h. */
#include "config.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/id.h"
#include "base/trace.h"

#define VERSION_LEN 2
#define TRACE_AT 3
#define TRACE_LEN 32
#define SPAN_AT 36
#define SPAN_LEN 16
#define FLAGS_AT 53
#define WHOLE_LEN 55

/* n digits, lower case, and not all of them 0 unless that may be. */
static int
is_hex(const char *s, size_t n, int zero_too)
{
	return strspn(s, "0123456789abcdef") >= n &&
	       (zero_too || strspn(s, "0") < n);
}

int
trace_parse(const char *text, struct trace_context *out)
{
	size_t len = strlen(text);

	memset(out, 0, sizeof(*out));
	if (len < WHOLE_LEN || text[TRACE_AT - 1] != '-' ||
	    text[SPAN_AT - 1] != '-' || text[FLAGS_AT - 1] != '-' ||
	    !is_hex(text, VERSION_LEN, 1) ||
	    !is_hex(text + TRACE_AT, TRACE_LEN, 0) ||
	    !is_hex(text + SPAN_AT, SPAN_LEN, 0) ||
	    !is_hex(text + FLAGS_AT, 2, 1) ||
	    strncmp(text, "ff", VERSION_LEN) == 0)
		return -1;
	if (len > WHOLE_LEN &&
	    (strncmp(text, "00", VERSION_LEN) == 0 || text[WHOLE_LEN] != '-'))
		return -1;
	memcpy(out->trace, text + TRACE_AT, TRACE_LEN);
	memcpy(out->span, text + SPAN_AT, SPAN_LEN);
	sscanf(text + FLAGS_AT, "%2x", &out->flags);
	return 0;
}

void
trace_print(char out[TRACE_SIZE], const struct trace_context *c)
{
	out[0] = '\0';
	if (c->trace[0] != '\0')
		snprintf(out, TRACE_SIZE, "00-%s-%s-%02x", c->trace, c->span,
		    c->flags & 0xff);
}

/* Random digits; never all 0, which says that there is no id. */
static void
make(char *out, unsigned bytes)
{
	unsigned char raw[TRACE_LEN / 2];

	id_random(raw, bytes);
	raw[0] |= 1;
	for (unsigned i = 0; i < bytes; i++)
		sprintf(out + (size_t)2 * i, "%02x", raw[i]);
}

void
trace_span_make(char out[TRACE_SPAN])
{
	make(out, SPAN_LEN / 2);
}

void
trace_span_of(const char *id, char out[TRACE_SPAN])
{
	snprintf(out, TRACE_SPAN, "%016" PRIx64, hash_text(id));
}

void
trace_begin(struct trace_context *c, int sampled)
{
	make(c->trace, TRACE_LEN / 2);
	make(c->span, SPAN_LEN / 2);
	c->flags = sampled ? TRACE_SAMPLED : 0;
}
