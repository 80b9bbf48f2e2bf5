/* SPDX-License-Identifier: MIT */
/*
 * Bodies of Engine.IO polling: any bytes. Every packet lies within them, and
 * those that were read, written again with separators, are what they were
 * read from.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "bridge/eio_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(int ok)
{
	if (!ok)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1); /* its own, so that nothing reads past */
	struct eio_payload p = { .text = text, .len = len };
	struct eio_packet k;
	struct buf out;
	int rc;

	must(text != NULL);
	memcpy(text, data, len);
	buf_init(&out, NULL);
	while ((rc = eio_payload_next(&p, &k)) > 0) {
		must(k.data > text && k.data + k.len <= text + len);
		if (out.len > 0)
			buf_putc(&out, EIO_SEPARATOR);
		eio_put(&out, k.type, k.data, k.len);
	}
	must(out.len <= len && memcmp(buf_str(&out), text, out.len) == 0);
	must(rc < 0 || out.len == len);
	buf_fini(&out);
	free(text);
	return 0;
}
