/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_OUTPUT_H
#define AGENT_TURN_OUTPUT_H

struct turn;
struct model_request;

/* What the message, or the agent's template, wants of the answer: a schema and
 * which tool is called. Into the request. */
void turn_output_ask(struct turn *t, struct model_request *rq);

/*
 * The whole answer against the schema: NULL if it is as it should be or none
 * was wanted; else what to tell the model, in the turn's arena.
 */
const char *turn_output_wrong(struct turn *t);

/* ,"output":VALUE of the answer for the event done; "" without a schema. */
const char *turn_output_member(struct turn *t);

#endif
