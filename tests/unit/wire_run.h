/* SPDX-License-Identifier: MIT */
#ifndef WIRE_RUN_H
#define WIRE_RUN_H

#include "base/buf.h"
#include "model/wire.h"

struct arena;
struct json;

/* A conversation through a wire, for its tests. */
struct wire_doc {
	const char *text;  /* {"role":R,"content":C}, neutral */
	const char *calls; /* {"ID":"NAME"} of the results in it, or NULL */
	int foreign;       /* another model made it */
};

/* A model with nothing said but its id. */
struct wire_model wire_model_of(const char *id);

/* The text of these documents; t->out is the arena's. */
void wire_text_make(struct arena *a, struct wire_text *t,
    const struct model_wire *w, const struct wire_model *m,
    const struct wire_doc *docs, size_t count);

/*
 * The body of a request, parsed: it must be JSON, and everything but the last
 * MODEL_TAIL bytes of the messages must be as it was before. Members of rq
 * that are NULL are "".
 */
const struct json *wire_body(struct arena *a, const struct model_wire *w,
    const struct wire_request *rq, const struct wire_doc *docs, size_t count);

/* Fails unless they are the same JSON, whatever the order of members. */
void expect_json(const char *what, const struct json *got, const char *wanted);

#endif
