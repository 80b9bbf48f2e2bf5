/* SPDX-License-Identifier: MIT */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

/*
 * The context of a trace, as it goes from a request to the next (W3C Trace
 * Context, the header traceparent).
 */
#define TRACE_SIZE 56   /* a traceparent of version 00, with its 0 byte */
#define TRACE_SPAN 17   /* 16 hexadecimal digits */
#define TRACE_SAMPLED 1 /* of the flags */

struct trace_context {
	char trace[33]; /* 32 hexadecimal digits; "": there is none */
	char span[TRACE_SPAN];
	unsigned flags;
};

/*
 * Reads a traceparent strictly: what is no such thing is not half of one
 * either. Of a later version what 00 knows is read, as it says. 0, or -1 and
 * *out is none.
 */
int trace_parse(const char *text, struct trace_context *out);

/* Its traceparent, version 00; "" if there is none. */
void trace_print(char out[TRACE_SIZE], const struct trace_context *c);

/* A trace that begins here, with a first span. */
void trace_begin(struct trace_context *c, int sampled);

/* The id of a new span. */
void trace_span_make(char out[TRACE_SPAN]);

/* The id of the span of something that has a random id already: whoever asks
 * gets the same. */
void trace_span_of(const char *id, char out[TRACE_SPAN]);

#endif
