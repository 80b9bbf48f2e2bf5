/* SPDX-License-Identifier: MIT */
/*
 * The metrics, a row each. Names are by Prometheus's conventions: the unit is
 * the base unit and part of the name, a counter ends with _total. Labels never
 * name a user or an agent, and have few values.
 */
#include "config.h"

#include "base/metrics_priv.h"

static const int64_t bounds_request[] = { 1000, 2500, 5000, 10000, 25000, 50000,
	100000, 250000, 500000, 1000000, 2500000, 10000000, 0 };
static const int64_t bounds_turn[] = { 100000, 250000, 500000, 1000000, 2500000,
	5000000, 10000000, 30000000, 60000000, 120000000, 300000000, 900000000,
	3600000000, 0 };
static const int64_t bounds_model[] = { 50000, 100000, 250000, 500000, 1000000,
	2500000, 5000000, 10000000, 30000000, 60000000, 120000000, 300000000,
	0 };
static const int64_t bounds_tool[] = { 1000, 10000, 50000, 100000, 500000,
	1000000, 5000000, 10000000, 30000000, 60000000, 300000000, 0 };
static const int64_t bounds_store[] = { 100, 250, 500, 1000, 2500, 5000, 10000,
	25000, 50000, 100000, 250000, 1000000, 0 };
static const int64_t bounds_lag[] = { 1000, 2500, 5000, 10000, 25000, 50000,
	100000, 250000, 1000000, 0 };

static const char *const words_code[] = { "1xx", "2xx", "3xx", "4xx", "5xx",
	"other", NULL };
static const char *const words_reason[] = { "completed", "interrupted", "error",
	"limit", "budget", "other", NULL };
static const char *const words_outcome[] = { "ok", "rate_limit", "overload",
	"quota", "auth", "context_length", "invalid_request", "filter",
	"server", "network", "timeout", "protocol", "cancelled", "other",
	NULL };
static const char *const words_tokens[] = { "input", "output", "cached",
	"cache_write", "reasoning", "other", NULL };
static const char *const words_end[] = { "completed", "failed", "denied",
	"sealed", "other", NULL };
static const char *const words_what[] = { "turn", "model", "tool", "other",
	NULL };
static const char *const words_spans[] = { "sent", "dropped", "other", NULL };
static const char *const words_way[] = { "commit", "request", "other", NULL };

const struct metric_label_row metric_labels[LABEL_NONE] = {
	[LABEL_ROUTE] = { "route", NULL },
	[LABEL_MODEL] = { "model", NULL },
	[LABEL_TOOL] = { "tool", NULL },
	[LABEL_CODE] = { "code", words_code },
	[LABEL_REASON] = { "reason", words_reason },
	[LABEL_OUTCOME] = { "outcome", words_outcome },
	[LABEL_TOKENS] = { "kind", words_tokens },
	[LABEL_END] = { "outcome", words_end },
	[LABEL_WAY] = { "way", words_way },
	[LABEL_WHAT] = { "what", words_what },
	[LABEL_SPANS] = { "outcome", words_spans },
};

#define NO_LABEL                                                               \
	{                                                                      \
		LABEL_NONE, LABEL_NONE                                         \
	}

const struct metric_row metric_rows[METRICS] = {
	[METRIC_REQUESTS] = { "agent_fpm_requests_total",
	    "Requests that were answered, or became a stream.", METRIC_COUNTER,
	    { LABEL_ROUTE, LABEL_CODE }, NULL },
	[METRIC_REQUEST_TIME] = { "agent_fpm_request_seconds",
	    "How long a request held its thread.", METRIC_HISTOGRAM, NO_LABEL,
	    bounds_request },
	[METRIC_REQUESTS_ACTIVE] = { "agent_fpm_requests_active",
	    "Request threads that are at work.", METRIC_GAUGE, NO_LABEL, NULL },
	[METRIC_TURNS] = { "agent_fpm_turns_total", "Turns that are done.",
	    METRIC_COUNTER, { LABEL_REASON, LABEL_NONE }, NULL },
	[METRIC_TURN_TIME] = { "agent_fpm_turn_seconds",
	    "How long a turn was at work, since it began or was taken up.",
	    METRIC_HISTOGRAM, NO_LABEL, bounds_turn },
	[METRIC_MODEL_REQUESTS] = { "agent_fpm_model_requests_total",
	    "Calls of models, by how they ended.", METRIC_COUNTER,
	    { LABEL_MODEL, LABEL_OUTCOME }, NULL },
	[METRIC_MODEL_FIRST_BYTE] = { "agent_fpm_model_first_byte_seconds",
	    "From a call of a model to the first byte of its answer.",
	    METRIC_HISTOGRAM, { LABEL_MODEL, LABEL_NONE }, bounds_model },
	[METRIC_MODEL_TIME] = { "agent_fpm_model_request_seconds",
	    "How long calls of models took, whole.", METRIC_HISTOGRAM,
	    { LABEL_MODEL, LABEL_NONE }, bounds_model },
	[METRIC_MODEL_TOKENS] = { "agent_fpm_model_tokens_total",
	    "Tokens as providers count them. cached and cache_write are part "
	    "of input, reasoning of output.",
	    METRIC_COUNTER, { LABEL_MODEL, LABEL_TOKENS }, NULL },
	[METRIC_TOOL_CALLS] = { "agent_fpm_tool_calls_total",
	    "Tool calls that are over.", METRIC_COUNTER,
	    { LABEL_TOOL, LABEL_END }, NULL },
	[METRIC_TOOL_TIME] = { "agent_fpm_tool_seconds",
	    "How long a tool call was at work.", METRIC_HISTOGRAM,
	    { LABEL_TOOL, LABEL_NONE }, bounds_tool },
	[METRIC_SLOW] = { "agent_fpm_slow_total", "Lines of the slow log.",
	    METRIC_COUNTER, { LABEL_WHAT, LABEL_NONE }, NULL },
	[METRIC_EVENTS] = { "agent_fpm_events_total",
	    "Events that are in the log and were shown.", METRIC_COUNTER,
	    NO_LABEL, NULL },
	[METRIC_SPANS] = { "agent_fpm_trace_spans_total",
	    "Spans of traces: taken by the collector, or dropped.",
	    METRIC_COUNTER, { LABEL_SPANS, LABEL_NONE }, NULL },
	[METRIC_STORE_TIME] = { "agent_fpm_store_roundtrip_seconds",
	    "Redis's answer to a batch of commits, or to a request thread.",
	    METRIC_HISTOGRAM, { LABEL_WAY, LABEL_NONE }, bounds_store },
	[METRIC_REDIS_UP] = { "agent_fpm_redis_up",
	    "1 if all workers have their connection to Redis.",
	    METRIC_GAUGE_LEAST, NO_LABEL, NULL },
	[METRIC_QUEUE_WAITING] = { "agent_fpm_queue_waiting",
	    "Agents that wait for room for a turn, in all pools of this "
	    "Redis; looked at every store.sweep.",
	    METRIC_GAUGE_MOST, NO_LABEL, NULL },
	[METRIC_QUEUE_AGE] = { "agent_fpm_queue_oldest_seconds",
	    "How long the first of them waits.", METRIC_GAUGE_MOST, NO_LABEL,
	    NULL },
	[METRIC_LOOP_LAG] = { "agent_fpm_loop_lag_seconds",
	    "How late a worker's event loop was for a timer, once a second.",
	    METRIC_HISTOGRAM, NO_LABEL, bounds_lag },
	[METRIC_CPU] = { "process_cpu_seconds_total",
	    "Processor time of all workers, those that are gone included.",
	    METRIC_COUNTER_TIME, NO_LABEL, NULL },
	[METRIC_RESIDENT] = { "process_resident_memory_bytes",
	    "Resident memory of all workers.", METRIC_GAUGE, NO_LABEL, NULL },
	[METRIC_OPEN_FDS] = { "process_open_fds",
	    "Open descriptors of all workers.", METRIC_GAUGE, NO_LABEL, NULL },
	[METRIC_MAX_FDS] = { "process_max_fds",
	    "The most descriptors that a worker may have.", METRIC_GAUGE_LEAST,
	    NO_LABEL, NULL },
};
