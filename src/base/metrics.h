/* SPDX-License-Identifier: MIT */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdint.h>

struct buf;
struct err;

/*
 * What the pool counts, for GET /metrics: rows of a table (metrics_table.c),
 * cells in shared memory. Counting is one relaxed atomic addition, two for a
 * time; any thread. In a process that has opened none it does nothing.
 */
enum metric {
	METRIC_REQUESTS,
	METRIC_REQUEST_TIME,
	METRIC_REQUESTS_ACTIVE,
	METRIC_TURNS,
	METRIC_TURN_TIME,
	METRIC_MODEL_REQUESTS,
	METRIC_MODEL_FIRST_BYTE,
	METRIC_MODEL_TIME,
	METRIC_MODEL_TOKENS,
	METRIC_TOOL_CALLS,
	METRIC_TOOL_TIME,
	METRIC_SLOW,
	METRIC_EVENTS,
	METRIC_SPANS,
	METRIC_STORE_TIME,
	METRIC_REDIS_UP,
	METRIC_QUEUE_WAITING,
	METRIC_QUEUE_AGE,
	METRIC_LOOP_LAG,
	METRIC_CPU,
	METRIC_RESIDENT,
	METRIC_OPEN_FDS,
	METRIC_MAX_FDS,
	METRICS
};

/* What a label may be. Of the first three the pool learns the names, up to a
 * bound; the others have fixed words. */
enum metric_label {
	LABEL_ROUTE,
	LABEL_MODEL,
	LABEL_TOOL,
	LABEL_CODE,
	LABEL_REASON,
	LABEL_OUTCOME,
	LABEL_TOKENS,
	LABEL_END,
	LABEL_WAY,
	LABEL_WHAT,
	LABEL_SPANS,
	LABEL_NONE
};

#define METRIC_NAMED 3 /* of the labels: those whose names are learnt */

/* Words of LABEL_WAY. */
#define METRIC_WAY_COMMIT 0
#define METRIC_WAY_REQUEST 1

/*
 * A new segment: the master's, whose descriptor workers inherit. It outlives
 * them: a counter goes on where the worker before left it, and never falls.
 * The descriptor, or -1.
 */
int metrics_new(struct err *err);

/*
 * The segment behind an inherited descriptor; from here on this process counts
 * into the row of its slot. What was measured there (gauges) begins at 0. 0 or
 * -1.
 */
int metrics_open(int fd, int slot, struct err *err);
void metrics_close(void);

/*
 * The number of a label's value, for metric_add. Of a label with names a new
 * one is learnt; when there are as many as fit, and of a fixed label what is no
 * word of it, it is the number of "other".
 */
int metric_value(enum metric_label label, const char *text);

/* Adds n to a counter or gauge with these label values (0 where there is no
 * label). To take away from a gauge add -n. */
void metric_add(enum metric m, int a, int b, int64_t n);

/* A gauge without labels. */
void metric_set(enum metric m, int64_t value);

/* One observation of a histogram, in microseconds. */
void metric_observe(enum metric m, int a, int64_t us);

/* What the pool has counted of a metric without regard to labels. */
int64_t metric_total(enum metric m);

/* When the segment was made; wall time. */
int64_t metrics_started_ms(void);

/* All of the pool, in Prometheus's text format 0.0.4. */
void metrics_print(struct buf *out);

/*
 * For what somebody else counts: the HELP and TYPE lines of a metric, and a
 * sample. label NULL: none.
 */
void metrics_print_head(
    struct buf *out, const char *name, const char *type, const char *help);
void metrics_print_sample(struct buf *out, const char *name, const char *label,
    const char *value, int64_t n);

#endif
