/* SPDX-License-Identifier: MIT */
#ifndef NET_OTLP_PRIV_H
#define NET_OTLP_PRIV_H

struct buf;
struct otlp_span;

/* Closes attributes and span. */
void otlp_span_close(struct buf *b, const struct otlp_span *s);

#endif
