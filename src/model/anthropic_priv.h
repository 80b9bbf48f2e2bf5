/* SPDX-License-Identifier: MIT */
#ifndef MODEL_ANTHROPIC_PRIV_H
#define MODEL_ANTHROPIC_PRIV_H

struct err;
struct json;
struct model_decode;

/* Events of content blocks: 0, or -1 and err. */
int anthropic_block_start(
    struct model_decode *d, const struct json *doc, struct err *err);
int anthropic_block_delta(
    struct model_decode *d, const struct json *doc, struct err *err);
int anthropic_block_stop(
    struct model_decode *d, const struct json *doc, struct err *err);

/* A block as Anthropic wants it back; see struct decode_api. */
int anthropic_write(struct model_decode *d, int at);

#endif
