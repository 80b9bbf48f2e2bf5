/* SPDX-License-Identifier: MIT */
/* One end of a connection that carries frames. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "sandbox/channel.h"
#include "sandbox/frame.h"

#define READ_BYTES 65536
#define IDLE_BYTES (1u << 20) /* of a buffer that nothing is in */

void
channel_open(struct channel *ch, struct loop *l, int fd,
    void (*on_ready)(void *arg, int events), void *arg)
{
	ch->fd = fd;
	ch->opened++;
	buf_init(&ch->in, NULL);
	buf_init(&ch->out, NULL);
	ch->io = loop_io_new(l, "sandbox", fd, on_ready, arg);
	if (ch->io == NULL)
		abort();
	loop_io_want(ch->io, LOOP_READ | LOOP_HUP);
}

void
channel_close(struct channel *ch)
{
	if (ch->fd < 0)
		return;
	loop_io_free(&ch->io);
	close(ch->fd);
	ch->fd = -1;
	buf_fini(&ch->in);
	buf_fini(&ch->out);
	ch->out_at = 0;
}

const char *
channel_flush(struct channel *ch)
{
	ssize_t n = 1;

	while (ch->out_at < ch->out.len && n > 0) {
		n = send(ch->fd, ch->out.data + ch->out_at,
		    ch->out.len - ch->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			ch->out_at += (size_t)n;
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return strerror(errno);
	if (ch->out_at == ch->out.len) {
		buf_trim(&ch->out, IDLE_BYTES);
		ch->out_at = 0;
	}
	loop_io_want(ch->io, (ch->deaf ? 0 : LOOP_READ | LOOP_HUP) |
				 (ch->out.len > 0 ? LOOP_WRITE : 0));
	return NULL;
}

const char *
channel_read(struct channel *ch,
    int (*on_frame)(void *ctx, const struct frame_view *f), void *ctx)
{
	unsigned opened = ch->opened;
	struct frame_view f;
	size_t at = 0;
	ssize_t n;
	int rc;

	buf_reserve(&ch->in, READ_BYTES);
	n = recv(ch->fd, ch->in.data + ch->in.len, READ_BYTES, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return NULL;
	if (n <= 0)
		return n == 0 ? "" : strerror(errno);
	ch->in.len += (size_t)n;
	while ((rc = frame_read(ch->in.data + at, ch->in.len - at, &f, NULL)) >
	       0) {
		at += f.size;
		rc = on_frame(ctx, &f);
		if (ch->fd < 0 || ch->opened != opened)
			return NULL; /* what was in it is gone */
		if (rc < 0)
			break;
	}
	if (rc < 0)
		return "it does not speak the protocol";
	buf_consume(&ch->in, at);
	if (ch->in.len == 0)
		buf_trim(&ch->in, IDLE_BYTES);
	return NULL;
}
