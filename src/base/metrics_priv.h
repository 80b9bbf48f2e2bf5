/* SPDX-License-Identifier: MIT */
#ifndef BASE_METRICS_PRIV_H
#define BASE_METRICS_PRIV_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/metrics.h"
#include "base/running.h"

enum metric_type {
	METRIC_COUNTER,
	METRIC_COUNTER_TIME, /* microseconds; shown in seconds */
	METRIC_GAUGE,        /* of the pool: the sum over workers that live */
	METRIC_GAUGE_LEAST,  /* the least */
	METRIC_GAUGE_MOST,   /* the most: what each sees for itself */
	METRIC_HISTOGRAM     /* of microseconds; shown in seconds */
};

/* A row of the table. */
struct metric_row {
	const char *name;
	const char *help;
	enum metric_type type;
	enum metric_label label[2];
	const int64_t *bounds; /* of a histogram, ended by 0 */
};

/* A label: its name, and its words or how many names it may learn. The last
 * is "other", of what is learnt the first. */
struct metric_label_row {
	const char *name;
	const char *const *words; /* ended by NULL; NULL: they are learnt */
};

extern const struct metric_row metric_rows[METRICS];
extern const struct metric_label_row metric_labels[LABEL_NONE];

#define METRIC_NAMES 64 /* that are learnt of a label, "other" included */
#define METRIC_NAME_SIZE 72
#define METRIC_WORKERS 1024 /* rows: as the master has slots */

#define METRIC_NAME_READY (-1)

/* A name that was learnt. ready: 0, the pid of who writes it, or that. */
struct metric_name {
	_Atomic uint64_t hash; /* 0: free */
	_Atomic int ready;
	char text[METRIC_NAME_SIZE];
};

#define RUNNING_WORDS (sizeof(struct running_turn) / sizeof(int64_t))

/* See running.c. */
struct running_place {
	_Atomic int taken; /* the owner's */
	_Atomic int shown;
	_Atomic int64_t writings;
	_Atomic int64_t word[RUNNING_WORDS];
};

struct metric_worker {
	_Atomic int pid;
	struct running_place running[RUNNING_PER_WORKER];
	_Atomic int64_t cell[];
};

/* The begin of the segment; rows follow. */
struct metric_head {
	int64_t started_ms;
	_Atomic int workers; /* rows that were ever used */
	struct metric_name names[METRIC_NAMED][METRIC_NAMES];
};

/* How many values a label has; 1 for LABEL_NONE. */
int metric_label_count(enum metric_label label);

/* The text of a value, or NULL if nobody has learnt it. */
const char *metric_label_text(enum metric_label label, int value);

/* How many cells stand for one combination of labels. */
int metric_cells(const struct metric_row *r);

/* The pool's value of a cell: the k-th of a combination. */
int64_t metric_cell(enum metric m, int a, int b, int k);

/* The row of this process, or NULL; the i-th row, or NULL behind the last; 1
 * if its process is there. */
struct metric_worker *metrics_own(void);
struct metric_worker *metrics_worker(int i);
int metrics_alive(const struct metric_worker *w);

#endif
