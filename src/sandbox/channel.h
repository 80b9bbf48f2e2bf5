/* SPDX-License-Identifier: MIT */
#ifndef SANDBOX_CHANNEL_H
#define SANDBOX_CHANNEL_H

#include "base/buf.h"

struct frame_view;
struct loop;
struct loop_io;

/*
 * One end of a connection that carries frames, on the loop: what both sides
 * have in common. The owner is told when there is something to read or room
 * to write, and calls these; nothing here blocks.
 */
struct channel {
	int fd; /* -1: closed */
	struct loop_io *io;
	struct buf in, out;
	size_t out_at;   /* of out, what was written */
	int deaf;        /* nothing is to be read for now */
	unsigned opened; /* how often */
};

/* fd is the channel's then. Aborts if it cannot be watched. The channel is
 * closed, or all zero but fd, which is -1. */
void channel_open(struct channel *ch, struct loop *l, int fd,
    void (*on_ready)(void *arg, int events), void *arg);
void channel_close(struct channel *ch);

/* Writes what there is in out, as far as that goes. NULL; or why it broke. */
const char *channel_flush(struct channel *ch);

/*
 * Reads some and calls on_frame for each frame that is whole; that gives 0,
 * or -1: it was no good one. It may close the channel, and open it again.
 * NULL; or why it broke,
 * "" if the other side hung up.
 */
const char *channel_read(struct channel *ch,
    int (*on_frame)(void *ctx, const struct frame_view *f), void *ctx);

#endif
