/* SPDX-License-Identifier: MIT */
#ifndef NET_OTLP_H
#define NET_OTLP_H

#include <stddef.h>
#include <stdint.h>

#include "base/trace.h"

struct buf;
struct conf;
struct err;
struct fetcher;
struct loop;

/*
 * Spans on their way to a collector, by OTLP over HTTP with JSON
 * (OpenTelemetry Protocol 1.x). They wait in a bounded queue of the process
 * and go in batches. Nobody waits for the collector: what it does not take in
 * time is dropped and counted (agent_fpm_trace_spans_total).
 */
struct otlp;

/* *o_r is NULL if none is configured. 0, or -1 and ERR_CONFIG. l and f may be
 * NULL where nothing is sent. */
int otlp_new(struct loop *l, struct fetcher *f, const struct conf *c,
    struct otlp **o_r, struct err *err);

/* Drops what was not sent. Before the fetcher is freed. */
void otlp_free(struct otlp **o_p);

/* Whether a trace that begins here is to be recorded (otlp.sample). Any
 * thread. */
int otlp_samples(const struct otlp *o);

/* Sends what waits without waiting for more. The loop's thread. */
void otlp_flush(struct otlp *o);

/* 1 while something waits or is on its way. Any thread; o NULL: 0. */
int otlp_is_busy(const struct otlp *o);

/* ---- a span ---- */

enum otlp_kind { OTLP_INTERNAL = 1, OTLP_SERVER, OTLP_CLIENT };

struct otlp_span {
	const char *trace, *span;
	const char *parent; /* "": it is the first of its trace */
	const char *name;
	enum otlp_kind kind;
	int64_t began_us, ended_us; /* wall time */
	const char *error;          /* error.type; NULL: it went well */
};

/* Begins a span in b, an empty buffer; then its attributes. */
void otlp_span_begin(struct buf *b, const struct otlp_span *s);
void otlp_add_str(struct buf *b, const char *key, const char *value);
void otlp_add_int(struct buf *b, const char *key, int64_t value);

/* An array with one text. */
void otlp_add_list(struct buf *b, const char *key, const char *value);

/* Ends it and puts it into the queue. b is emptied. Any thread. */
void otlp_span_end(struct otlp *o, struct buf *b, const struct otlp_span *s);

#endif
