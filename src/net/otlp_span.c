/* SPDX-License-Identifier: MIT */
/*
 * A span as OTLP's JSON has it (opentelemetry-proto, trace.proto; OTLP
 * specification, "JSON Protobuf Encoding": ids in hexadecimal, integers of 64
 * bits as texts, names in lowerCamelCase, enums as numbers).
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/json.h"
#include "net/otlp.h"
#include "net/otlp_priv.h"

#define STATUS_ERROR 2

static void
add_time(struct buf *b, const char *name, int64_t us)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64 "000", us);
	json_add_str(b, name, text);
}

void
otlp_span_begin(struct buf *b, const struct otlp_span *s)
{
	json_open(b, NULL, '{');
	json_add_str(b, "traceId", s->trace);
	json_add_str(b, "spanId", s->span);
	if (*s->parent != '\0')
		json_add_str(b, "parentSpanId", s->parent);
	json_add_str(b, "name", s->name);
	json_add_int(b, "kind", s->kind);
	add_time(b, "startTimeUnixNano", s->began_us);
	add_time(b, "endTimeUnixNano",
	    s->ended_us > s->began_us ? s->ended_us : s->began_us);
	json_open(b, "attributes", '[');
}

static void
attribute_open(struct buf *b, const char *key)
{
	json_open(b, NULL, '{');
	json_add_str(b, "key", key);
	json_open(b, "value", '{');
}

static void
attribute_close(struct buf *b)
{
	json_close(b, '}');
	json_close(b, '}');
}

void
otlp_add_str(struct buf *b, const char *key, const char *value)
{
	attribute_open(b, key);
	json_add_str(b, "stringValue", value);
	attribute_close(b);
}

void
otlp_add_int(struct buf *b, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	attribute_open(b, key);
	json_add_str(b, "intValue", text);
	attribute_close(b);
}

void
otlp_add_list(struct buf *b, const char *key, const char *value)
{
	attribute_open(b, key);
	json_open(b, "arrayValue", '{');
	json_open(b, "values", '[');
	json_open(b, NULL, '{');
	json_add_str(b, "stringValue", value);
	json_close(b, '}');
	json_close(b, ']');
	json_close(b, '}');
	attribute_close(b);
}

/* The end of what otlp_span_begin began: otlp.c. */
void
otlp_span_close(struct buf *b, const struct otlp_span *s)
{
	if (s->error != NULL)
		otlp_add_str(b, "error.type", s->error);
	json_close(b, ']');
	if (s->error != NULL) {
		json_open(b, "status", '{');
		json_add_int(b, "code", STATUS_ERROR);
		json_close(b, '}');
	}
	json_close(b, '}');
}
